package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/schedule"
	"maia-dr/engine/vault"
)

// setup is one run of the command: it goes through all steps, whatever becomes of each.
type setup struct {
	*app
	ctx context.Context
	// yes takes every default; nobody is asked.
	yes          bool
	adopt        bool
	at           string
	passwordFile string
	done         []stepReport
	exitCode     int
}

// stepReport is what became of a step. State is done, already, skipped or failed.
type stepReport struct {
	Step  string `json:"step"`
	State string `json:"state"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// The states of a step.
const (
	stepDone    = "done"
	stepAlready = "already"
	stepSkipped = "skipped"
	stepFailed  = "failed"
)

func (a *app) setupCommand() *cobra.Command {
	s := &setup{app: a}
	cmd := &cobra.Command{
		Use: "setup", Short: "The first run: from nothing to a proven backup", Args: argsBetween(0, 0),
		Long: `Find the Maia root and the OneDrive folder, set the vault password, have macOS ask for access while you are there,
make the first backup, rehearse a restore of it, have backups made every day, and make the recovery sheet. Each step says
what it did. Run it again whenever you like: what is done already stays as it is.

With --yes nothing is asked: without --vault-password-file there is then no vault, and the exit code is 3.`,
		Example: `  maia-dr setup
  maia-dr setup --yes --at 02:30`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.ctx = cmd.Context()
			if s.at != "" {
				if _, err := schedule.ParseClock(s.at); err != nil {
					return usageErrorFor(cmd, fmt.Errorf("--at: %w", err))
				}
			}
			if !s.yes && a.flags.json {
				return usageErrorFor(cmd, errors.New("--json asks nothing: add --yes"))
			}
			if !s.yes {
				tty, err := a.OpenTTY()
				if err != nil {
					return usageErrorFor(cmd, fmt.Errorf("%w: add --yes", errNoTerminal))
				}
				tty.Close()
			}
			return s.run()
		},
	}
	f := cmd.Flags()
	f.BoolVar(&s.yes, "yes", false, "ask nothing, take every default")
	f.BoolVar(&s.adopt, "adopt", false, "take over a repository that another installation wrote")
	f.StringVar(&s.at, "at", "", "when the daily backup begins, local `TIME` (default schedule.at, 03:00)")
	fileFlag(cmd, &s.passwordFile)
	return cmd
}

func (s *setup) run() error {
	steps := []struct {
		name, title string
		run         func() (state, text string, err error)
		needed      bool // without it the others make no sense
	}{
		{"maia_root", "Maia root", s.findRoot, true},
		{"onedrive_folder", "OneDrive folder", s.findOneDrive, true},
		{"password", "Vault password", s.setPassword, false},
		{"access", "Access", s.askAccess, false},
		{"backup", "First backup", s.firstBackup, false},
		{"drill", "Restore drill", s.firstDrill, false},
		{"schedule", "Schedule", s.schedule, false},
		{"recovery_sheet", "Recovery sheet", s.sheet, false},
	}
	for i, step := range steps {
		a := s.app
		a.say("\n%d of %d, %s\n", i+1, len(steps), step.title)
		state, text, err := step.run()
		a.tidy()
		r := stepReport{Step: step.name, State: state, Text: text}
		if err != nil {
			r.State, r.Text = stepFailed, err.Error()
			if known, ok := errors.AsType[*engine.Error](err); ok {
				r.Hint = known.Advice()
			}
			if s.ctx.Err() != nil {
				// Whatever it was that the question was about.
				err, r.Text, r.Hint = s.ctx.Err(), "cancelled", ""
			}
			s.worse(exitCode(err))
		}
		s.done = append(s.done, r)
		if !a.flags.json {
			a.printStep(step.title, r)
		}
		if s.ctx.Err() != nil {
			s.worse(ExitCancelled)
			break
		}
		if err != nil && step.needed {
			break
		}
	}
	return s.end()
}

// ask puts a question. An answer after Ctrl-C is none.
func (s *setup) ask(question string) (string, error) {
	answer, err := s.app.ask(question)
	return answer, cmp.Or(s.ctx.Err(), err)
}

// worse keeps the first exit code of a failure, else the first other one.
func (s *setup) worse(code int) {
	if s.exitCode == ExitDone || s.exitCode == ExitIncomplete && code != ExitIncomplete {
		s.exitCode = code
	}
}

func (a *app) printStep(title string, r stepReport) {
	lead := map[string]string{stepDone: "", stepAlready: "already there: ", stepSkipped: "not done: ", stepFailed: "failed: "}[r.State]
	a.printf("%s: %s%s\n", title, lead, clean(r.Text))
	if r.Hint != "" {
		a.printf("  what to do: %s\n", clean(r.Hint))
	}
}

func (s *setup) end() error {
	a := s.app
	a.exit = s.exitCode
	if a.flags.json {
		return a.writeJSON(struct {
			Version  int          `json:"version"`
			Steps    []stepReport `json:"steps"`
			ExitCode int          `json:"exit_code"`
		}{1, s.done, s.exitCode})
	}
	unfinished := slices.ContainsFunc(s.done, func(r stepReport) bool { return r.State == stepFailed || r.State == stepSkipped })
	switch {
	case unfinished:
		a.printf("\nNot everything is done: see above, and run `maia-dr setup` again.\n")
		return nil
	case s.exitCode != ExitDone:
		a.printf("\nEverything is done, but something is missing in the backup: see the warnings above.\n")
		return nil
	}
	a.printf("\nMaia is safe: backed up, restored once to prove it, and backed up again every day. `maia-dr status` says how things stand.\n")
	return nil
}

// findRoot finds the root or asks for it, and keeps it where the scheduled run would not find it by itself.
func (s *setup) findRoot() (state, text string, err error) {
	e, err := s.engine(nil)
	if err != nil {
		return "", "", err
	}
	root, err := e.Root()
	for try := 0; err != nil && !s.yes && try < 3; try++ {
		s.say("%s\n", clean(err.Error()))
		answer, aerr := s.ask("Which folder is Maia? ")
		if aerr != nil || answer == "" {
			break
		}
		if root, err = s.named(&s.flags.root, answer, (*engine.Engine).Root); err != nil {
			s.flags.root = ""
		}
	}
	if err != nil {
		return "", "", err
	}
	bare, err := s.bareEngine(e.State().Path)
	if err != nil {
		return "", "", err
	}
	if found, err := bare.Root(); err != nil || found != root {
		return stepDone, root, s.configure("maia_root", root)
	}
	return stepAlready, root, nil
}

// named tries an answer as a flag.
func (s *setup) named(flag *string, answer string, find func(*engine.Engine) (string, error)) (string, error) {
	if rest, ok := strings.CutPrefix(answer, "~/"); ok {
		answer = s.home() + "/" + rest
	}
	*flag = answer
	e, err := s.engine(nil)
	if err != nil {
		return "", err
	}
	return find(e)
}

// findOneDrive finds the folder; where there are several or none, the person says which, or signs in first.
func (s *setup) findOneDrive() (state, text string, err error) {
	find := func(e *engine.Engine) (string, error) {
		f, err := e.OneDriveFolder()
		return f.Path, err
	}
	e, err := s.engine(nil)
	if err != nil {
		return "", "", err
	}
	path, err := find(e)
	for try := 0; err != nil && !s.yes && try < 5; try++ {
		if errors.Is(err, onedrive.ErrSeveral) {
			chosen, cerr := s.chooseOneDrive(e)
			if cerr != nil {
				s.say("%s\n", clean(cerr.Error()))
				continue
			}
			if !chosen {
				break
			}
			if path, err = s.named(&s.flags.oneDrive, s.flags.oneDrive, find); err != nil {
				s.flags.oneDrive = ""
			}
			continue
		}
		s.say("%s\n", clean(err.Error()))
		answer, aerr := s.ask("Type the folder's path, or sign in to OneDrive and press Return: ")
		if aerr != nil {
			break
		}
		if answer == "" {
			path, err = find(e)
			continue
		}
		if path, err = s.named(&s.flags.oneDrive, answer, find); err != nil {
			s.flags.oneDrive = ""
		}
	}
	if err != nil {
		return "", "", err
	}
	bare, err := s.bareEngine(e.State().Path)
	if err != nil {
		return "", "", err
	}
	if found, err := find(bare); err != nil || found != path {
		return stepDone, path, s.configure("onedrive_path", path)
	}
	return stepAlready, path, nil
}

// firstBackup makes a backup unless there is one of today.
func (s *setup) firstBackup() (state, text string, err error) {
	if s.password == nil {
		s.password = s.backupPassword(true)
	}
	e, err := s.engine(s.sink())
	if err != nil {
		return "", "", err
	}
	if st, err := e.Status(); err == nil && st.Newest != nil && !s.adopt && e.Plan().Slot(s.Env.Now()).Contains(st.Newest.CreatedAt) && st.LastBackup != nil && st.LastBackup.BackupID == st.Newest.BackupID {
		if st.LastBackup.Vault || !s.hasPassword() {
			return stepAlready, st.Newest.BackupID, nil
		}
		// Today's has no vault, and there is a password now.
	}
	res, err := e.Backup(s.ctx, engine.BackupOptions{Adopt: s.adopt})
	if engine.CodeOf(err) == engine.CodeForeignWriter && !s.yes {
		s.tidy()
		s.say("%s\n", clean(err.Error()))
		answer, aerr := s.ask("Take it over? The other machine can then no longer back up. [y/N] ")
		if aerr == nil && isYes(answer) {
			res, err = e.Backup(s.ctx, engine.BackupOptions{Adopt: true})
		}
	}
	s.tidy()
	if err != nil {
		return "", "", err
	}
	s.warnings(res.Warnings)
	if len(res.Warnings) > 0 {
		s.worse(ExitIncomplete)
	}
	return stepDone, fmt.Sprintf("%s: %s, %s; %s new, in %s", res.BackupID, count(res.Files, "file", "files"), size(res.SourceBytes),
		size(res.StoredBytes), took(res.Duration)), nil
}

func (s *setup) hasPassword() bool {
	_, err := s.password(s.ctx)
	return err == nil
}

// firstDrill rehearses a restore, unless one is proven.
func (s *setup) firstDrill() (state, text string, err error) {
	e, err := s.engine(s.sink())
	if err != nil {
		return "", "", err
	}
	if st, err := e.Status(); err == nil && st.Restore.Proven && (st.LastBackup == nil || st.Restore.LastFull.BackupID == st.LastBackup.BackupID) {
		return stepAlready, restoreText(&st.Restore, s.Env.Now()), nil
	}
	password := s.restorePassword("")
	if s.passwordFile != "" {
		// It was read already, and standard input can be read once only.
		password = func(ctx context.Context, _, wrong int) (vault.Password, error) {
			if wrong > 0 {
				return vault.Password{}, engine.ErrNoPassword
			}
			return s.password(ctx)
		}
	}
	res, err := e.Drill(s.ctx, engine.DrillOptions{Password: password})
	s.tidy()
	if err != nil {
		return "", "", err
	}
	s.warnings(res.Warnings)
	if !res.Passed {
		return "", "", &engine.Error{Op: "rehearse a restore", Code: engine.CodeFailed, Err: fmt.Errorf("it found %s: %s", count(len(res.Problems), "problem", "problems"), res.Problems[0]),
			Hint: "run `maia-dr verify --all`, which mends what it can, and `maia-dr drill`"}
	}
	if len(res.Warnings) > 0 {
		s.worse(ExitIncomplete)
	}
	return stepDone, fmt.Sprintf("passed: %s, %s, restored and compared in %s", count(res.Files, "file", "files"), size(res.Bytes), took(seconds(res.Seconds))), nil
}

// schedule installs the schedule. It comes after the first backup: on a Mac it is started at once.
func (s *setup) schedule() (state, text string, err error) {
	e, err := s.engine(nil)
	if err != nil {
		return "", "", err
	}
	for s.at == "" && !s.yes {
		answer, aerr := s.ask(fmt.Sprintf("When should the daily backup begin? [%s] ", e.Plan().At))
		if aerr != nil || answer == "" {
			break
		}
		if _, err := schedule.ParseClock(answer); err != nil {
			s.say("%s\n", clean(err.Error()))
			continue
		}
		s.at = answer
	}
	if err := s.ctx.Err(); err != nil {
		return "", "", err
	}
	out, err := s.installSchedule(s.ctx, s.at, "")
	if err != nil {
		return "", "", err
	}
	state = stepAlready
	for _, j := range out.Jobs {
		if j.Changed {
			state = stepDone
		}
		if j.Note != "" {
			s.say("note: %s\n", clean(j.Note))
		}
	}
	return state, "a backup every day at " + out.At, nil
}

func (s *setup) sheet() (state, text string, err error) {
	e, err := s.engine(nil)
	if err != nil {
		return "", "", err
	}
	path, err := e.RecoverySheet()
	if err != nil {
		return "", "", err
	}
	return stepDone, path + " - print it, write the password on it, and keep it away from this machine", nil
}

// isYes reports whether an answer agrees.
func isYes(answer string) bool {
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}
