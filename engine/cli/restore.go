package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
)

func (a *app) restoreCommand() *cobra.Command {
	var o engine.RestoreOptions
	var yes, noPackages, noGit bool
	var maps []string
	var passwordFile string
	cmd := &cobra.Command{
		Use: "restore [BACKUP]", Short: "Bring a backup, or a part of it, back", Args: argsBetween(0, 1),
		Long: `Bring a backup back. The plan is shown first and has to be confirmed. Nothing is written outside --to and --target-home; files
in the way that differ are moved to a folder beside it, equal ones and strangers stay.

With --target-home and the vault password, agents and shell files go to that home, with the old machine's paths
changed to the new ones; each change is shown first. In your own home the agents are then loaded, and on a Mac
restore_maia.sh installs the packages, which it asks about first: --no-packages leaves them out, --only packages does
them alone, now or again. Package lists are laid beside in any case.

The git history of the root is no part of the files. After them restore_maia.sh brings it back, from the remotes and
from what the vault has of it, so that git status shows what it showed; a .git that is there stays as it is. --no-git
leaves it out, --only git does it alone, now or again.

With --path and without --to, each file is restored next to the original under a name of its own.`,
		Example: `  maia-dr restore --to ~/look --dry-run
  maia-dr restore --to ~/git/maia --target-home ~
  maia-dr restore full_20251013 --path 'claude/context/**'
  maia-dr restore --to ~/look --only maia_data_small,maia_data_large
  maia-dr restore --to ~/git/maia --target-home ~ --only packages`,
		ValidArgsFunction: a.completeUpTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && o.Backup != "" && o.Backup != args[0]:
				return usageErrorFor(cmd, fmt.Errorf("two backups are named: %s and %s", args[0], o.Backup))
			case len(args) == 1:
				o.Backup = args[0]
			}
			o.Backup = cmp.Or(o.Backup, "latest")
			for _, m := range maps {
				from, to, ok := strings.Cut(m, "=")
				if !ok || from == "" || to == "" {
					return usageErrorFor(cmd, fmt.Errorf("--map %q is not OLD=NEW", m))
				}
				o.Maps = append(o.Maps, [2]string{from, to})
			}
			if cmd.Flags().Changed("only") {
				if o.Only = names(o.Only); o.Only == nil {
					return usageErrorFor(cmd, errors.New("--only names no component"))
				}
			}
			o.Password, o.OnlyProven = a.restorePassword(passwordFile), passwordFile != ""
			o.Phases.AskNothing, o.Phases.Out, o.Phases.Err = yes, a.Out, a.Err
			if a.flags.json {
				// Standard output is JSON lines alone.
				o.Phases.Out = a.Err
			}
			if noPackages {
				o.Phases.Skip = append(o.Phases.Skip, engine.PhasePackages)
			}
			if noGit {
				o.Phases.Skip = append(o.Phases.Skip, engine.PhaseGit)
			}
			e, err := a.engine(a.sink())
			if err != nil {
				return err
			}
			if o.To == "" {
				if err := a.askTarget(cmd, e, &o); err != nil {
					return err
				}
			}
			if !yes && !o.DryRun && (a.flags.json || a.flags.quiet) {
				return usageErrorFor(cmd, errors.New("--json and --quiet show no plan to confirm: add --yes or --dry-run"))
			}
			if len(maps) > 0 && o.TargetHome == "" {
				a.say("--map changes nothing without --target-home: agents and shell files are laid beside as they are.\n")
			}
			if !yes && !o.DryRun {
				o.Confirm = a.confirmRestore
			} else {
				o.Confirm = func(p *engine.RestorePlan) (bool, error) { a.printPlan(p); return true, nil }
			}
			res, err := e.Restore(cmd.Context(), o)
			a.tidy()
			if err != nil {
				return a.fail("restore", err)
			}
			if err := a.restoreDone(res, o.DryRun, e.SyncState(res.Plan.BackupID)); err != nil {
				return err
			}
			if res.Done && o.BesideOriginal && !a.flags.json {
				a.say("Each lies beside its original, with .restored-%s in its name.\n", strings.TrimPrefix(res.Plan.BackupID, "full_"))
			}
			if res.Done && res.Plan.TargetHome != "" && len(o.Only) == 0 && len(o.Paths) == 0 {
				a.keepReport(e, res)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Backup, "backup", "", "the `BACKUP`, as restore_maia.sh takes it; the same as naming it without the flag")
	f.StringVar(&o.To, "to", "", "the `DIR` that becomes the Maia root")
	f.StringVar(&o.TargetHome, "target-home", "", "the home `DIR` for agents and shell files; without it they are laid beside")
	f.StringSliceVar(&o.Only, "only", nil, "restore only these `COMPONENTS`; or, alone, packages, git")
	f.StringArrayVar(&o.Paths, "path", nil, "restore only what matches `GLOB` (may be repeated)")
	f.StringArrayVar(&maps, "map", nil, "the mapping `OLD=NEW` of a path in agents and shell files (may be repeated)")
	f.BoolVar(&o.DryRun, "dry-run", false, "only show the plan")
	f.BoolVar(&yes, "yes", false, "ask nothing")
	f.BoolVar(&noPackages, "no-packages", false, "install no packages")
	f.BoolVar(&noGit, "no-git", false, "leave the git history out: contact none of its remotes")
	completeFlag(cmd, "backup", a.completeBackups)
	completeFlag(cmd, "only", completeComponents("packages", "git"))
	fileFlag(cmd, &passwordFile)
	return cmd
}

// names returns what stands between the commas of a list, which may have spaces around them; nil if there is nothing.
func names(list []string) (out []string) {
	for _, name := range list {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

var errNoTerminal = errors.New("there is no terminal to ask on")

// ask puts a question on the terminal.
func (a *app) ask(question string) (string, error) {
	tty, err := a.OpenTTY()
	if err != nil {
		return "", errNoTerminal
	}
	defer tty.Close()
	if f, ok := tty.(*os.File); ok {
		undo, err := lineInput(int(f.Fd()), true)
		if err != nil {
			return "", errNoTerminal
		}
		defer undo()
	}
	if _, err := fmt.Fprint(tty, question); err != nil {
		return "", err
	}
	answer, err := readLine(tty, a.Env.PID)
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(tty)
		<-a.ctx.Done() // by the signal, so that nobody goes on meanwhile
		return "", a.ctx.Err()
	}
	if err != nil && len(answer) == 0 {
		return "", errNoTerminal
	}
	return strings.TrimSpace(string(answer)), nil
}

// askTarget finds out where to restore when --to is not given.
func (a *app) askTarget(cmd *cobra.Command, e *engine.Engine, o *engine.RestoreOptions) error {
	root, own, err := e.OriginalRoot(o.Backup)
	if err != nil {
		return err
	}
	if len(o.Paths) > 0 && own {
		o.To, o.BesideOriginal = root, true
		return nil
	}
	if len(o.Paths) > 0 {
		return usageErrorFor(cmd, fmt.Errorf("--to DIR is missing: the backup was made of %s, which is not the Maia of this Mac", clean(root)))
	}
	a.tidy()
	question := fmt.Sprintf("Where should Maia go? [%s] ", clean(root))
	if !filepath.IsAbs(root) || clean(root) != root {
		// What cannot be shown as it is, nobody can agree to.
		question, root = "Where should Maia go? ", ""
	} else if list, err := os.ReadDir(root); err == nil && len(list) > 0 {
		a.say("NOTE: %s is there and not empty. What differs in it would be moved aside, to %s.before-restore-DATE_TIME;\nanother folder leaves it as it is.\n", root, root)
	}
	answer, err := a.ask(question)
	if err != nil {
		return usageErrorFor(cmd, fmt.Errorf("--to DIR is missing, and %w", err))
	}
	if o.To = cmp.Or(answer, root); o.To == "" {
		return usageErrorFor(cmd, errors.New("--to DIR is missing"))
	}
	return nil
}

func (a *app) confirmRestore(p *engine.RestorePlan) (bool, error) {
	a.tidy()
	a.printPlan(p)
	answer, err := a.ask("Go ahead? [y/N] ")
	if errors.Is(err, context.Canceled) {
		return false, err
	}
	if err != nil {
		return false, &engine.Error{Op: "restore", Code: engine.CodeUsage, Err: err, Hint: "look at the plan with --dry-run, then restore with --yes"}
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// printPlan writes to standard error: the answer is the result.
func (a *app) printPlan(p *engine.RestorePlan) {
	if a.flags.json || a.flags.quiet {
		return
	}
	age := a.Env.Now().Sub(p.CreatedAt)
	a.say("Restore %s, made %s (%s)\n", p.BackupID, p.CreatedAt.Local().Format("Mon 2 Jan 2006 15:04"), ago(a.Env.Now(), p.CreatedAt))
	if age > 48*time.Hour {
		a.say("  NOTE: this backup is %s old.\n", strings.TrimSuffix(ago(a.Env.Now(), p.CreatedAt), " ago"))
	}
	for _, n := range p.Newer {
		a.say("  newer, but passed over: %s\n", clean(n))
	}
	a.say("  from  %s\n  to    %s\n", clean(p.From), clean(p.To))
	for _, c := range p.Components {
		a.say("    %-16s %s, %s -> %s\n", c.Name, count(c.Files, "file", "files"), size(c.Bytes), clean(c.To))
	}
	a.say("  space: %s needed, %s free\n", size(p.NeedBytes), size(p.FreeBytes))
	if p.Equal > 0 {
		a.say("  %s there already and equal: they stay\n", count(p.Equal, "file is", "files are"))
	}
	if n := len(p.InTheWay); n > 0 {
		a.say("  %s in the way: moved to %s\n", count(n, "file that differs is", "files that differ are"), clean(p.Aside))
		for i, f := range p.InTheWay {
			if i == 5 {
				a.say("    and %d more\n", n-i)
				break
			}
			a.say("    %s\n", clean(f))
		}
	}
	switch {
	case p.Authenticated:
		a.say("  authenticated: made by who knows vault password %d\n", p.PasswordNumber)
	case p.PasswordNumber > 0:
		a.say("  not authenticated: without vault password %d nobody vouches for who made it\n", p.PasswordNumber)
	case p.Stripped:
		a.say("  not authenticated: it has no vault and other backups have one, so anybody who can write to the OneDrive folder may have made it\n")
	default:
		a.say("  not authenticated: no vault password was set, so nobody vouches for who made it\n")
	}
	if !p.Authenticated {
		a.say("                     (every file is compared with its hash all the same)\n")
	}
	switch {
	case p.Beside != "" && p.TargetHome != "":
		a.say("  package lists are laid beside, in %s\n", clean(p.Beside))
	case p.Beside != "":
		a.say("  agents, shell files and package lists are laid beside, in %s; nothing is activated\n", clean(p.Beside))
	}
	if p.TargetHomeUnused != "" {
		a.say("  --target-home is not used: %s\n", p.TargetHomeUnused)
	}
	if n := len(p.Sealed); n > 0 {
		a.say("  the vault stays closed: %s missing or without secrets\n", count(n, "file is", "files are"))
	}
	if text := (engine.SecretsKept{Missing: len(p.NotInBackup), Redacted: len(p.Redacted)}).LeftOut(); text != "" {
		a.say("  no vault: %s; `maia-dr show %s --secrets` names each\n", text, p.BackupID)
	}
	if p.HistoryLeftOut != "" {
		a.say("  %s\n", p.HistoryLeftOut)
	}
	if n := len(p.Lacks); n > 0 {
		a.say("  %s of the repository missing: files that need them cannot be restored\n", count(n, "file is", "files are"))
	}
	a.printRelocation(p)
	if slices.Contains(p.Phases, engine.PhaseGit) {
		a.say("  git: restore_maia.sh brings the history back when everything is in place\n")
		for _, remote := range p.GitRemotes {
			a.say("    from %s\n", clean(remote))
		}
	}
	if slices.Contains(p.Phases, engine.PhasePackages) {
		a.say("  packages can be installed when everything is in place: restore_maia.sh does it, one by one\n")
	}
}

// restoreLine is the summary of a restore.
type restoreLine struct {
	runLine
	To        string                 `json:"to"`
	Restored  int                    `json:"restored"`
	Equal     int                    `json:"equal"`
	Databases int                    `json:"databases_checked"`
	Bytes     int64                  `json:"bytes"`
	Aside     string                 `json:"moved_aside,omitempty"`
	Failed    []string               `json:"failed,omitempty"`
	Doubtful  []string               `json:"doubtful,omitempty"`
	Agents    []engine.AgentResult   `json:"agents,omitempty"`
	Phases    *engine.PhaseResult    `json:"phases,omitempty"`
	Versions  []engine.VersionChange `json:"versions,omitempty"`
	Plan      *engine.RestorePlan    `json:"plan"`
}

func (a *app) restoreDone(r *engine.RestoreResult, dryRun bool, sync string) error {
	status := "completed"
	switch {
	case dryRun:
		status = "planned"
	case !r.Done:
		status, a.exit = "cancelled", ExitCancelled
	case onlyPhases(r):
		status, a.exit = phaseStatus(r.Phases.ExitCode), r.Phases.ExitCode
	case len(r.Failed)+len(r.Doubtful)+len(r.Plan.Sealed) > 0 || agentsFailed(r.Agents) || phasesLeft(r.Phases):
		status, a.exit = "completed_with_warnings", ExitIncomplete
	}
	if a.flags.json {
		return a.line(restoreLine{
			runLine: summary("restore", status, a.exit, runFields{BackupID: r.Plan.BackupID, SourceBytes: r.Bytes, Seconds: r.Duration.Seconds(),
				Sync: syncSummary{State: sync}}),
			To:       r.Plan.To,
			Restored: r.Restored, Equal: r.Equal, Databases: r.Databases, Bytes: r.Bytes, Aside: r.MovedAside,
			Failed: r.Failed, Doubtful: r.Doubtful, Agents: r.Agents, Phases: r.Phases, Versions: r.Versions, Plan: r.Plan,
		})
	}
	if onlyPhases(r) {
		return nil // the script has said it all
	}
	if dryRun {
		a.printPlan(r.Plan)
		a.printf("Nothing was written: this was a dry run.\n")
		return nil
	}
	if !r.Done {
		a.printf("Nothing was written.\n")
		return nil
	}
	a.printRestored(r)
	return nil
}

// printRestored says what a restore came to.
func (a *app) printRestored(r *engine.RestoreResult) {
	for _, f := range r.Failed {
		fmt.Fprintf(a.Err, "not restored: %s\n", clean(f))
	}
	for _, f := range r.Plan.Sealed {
		fmt.Fprintf(a.Err, "still sealed: %s\n", clean(f))
	}
	for _, f := range r.Doubtful {
		fmt.Fprintf(a.Err, "restored, but SQLite finds fault with it: %s\n", clean(f))
	}
	a.printf("Restored %s, %s, to %s in %s; %s.\n", count(r.Restored, "file", "files"), size(r.Bytes), clean(r.Plan.To), took(r.Duration),
		count(r.Databases, "database checked", "databases checked"))
	if r.Equal > 0 {
		a.say("%s there already.\n", count(r.Equal, "file was", "files were"))
	}
	if r.MovedAside != "" {
		a.say("What was in the way lies in %s.\n", clean(r.MovedAside))
	}
	a.printAgents(r.Agents)
	a.printHealth(r)
	if len(r.Failed) > 0 {
		a.say("what to do: try an earlier backup for these with --path, or wait until OneDrive has synced and run the same command again.\n")
	}
	if len(r.Plan.Sealed) > 0 {
		a.say("what to do: run the same command again with the vault password (--vault-password-file FILE): what is in place stays.\n")
	}
}

// keepReport writes what a restore into a home came to into a file, in full whatever the flags say.
func (a *app) keepReport(e *engine.Engine, r *engine.RestoreResult) {
	var text strings.Builder
	full := *a
	full.Out, full.Err, full.flags.quiet, full.flags.json = &text, &text, false, false
	full.printRestored(r)
	path, err := e.KeepReport(r, text.String())
	if err != nil {
		a.report(err)
		return
	}
	a.say("This report is in %s.\n", clean(path))
}

// onlyPhases reports whether nothing but phases was asked for and done.
func onlyPhases(r *engine.RestoreResult) bool {
	return r.Phases != nil && len(r.Plan.Components) == 0
}

// phasesLeft reports whether a phase is not done, apart from one that the user put off.
func phasesLeft(p *engine.PhaseResult) bool {
	return p != nil && p.ExitCode != ExitDone && p.ExitCode != ExitCancelled
}

func phaseStatus(code int) string {
	switch code {
	case ExitDone:
		return "completed"
	case ExitIncomplete:
		return "completed_with_warnings"
	case ExitCancelled:
		return "cancelled"
	}
	return "failed"
}
