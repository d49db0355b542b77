package cli

import (
	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

func (a *app) drillCommand() *cobra.Command {
	var o engine.DrillOptions
	var passwordFile string
	cmd := &cobra.Command{
		Use: "drill [BACKUP]", Short: "Rehearse a restore: into scratch, compared, checked and timed", Args: argsBetween(0, 1),
		Long: `Rehearse a restore. Everything is restored from the OneDrive folder into scratch, which is removed afterwards;
every hash, mode and time is compared, every database and property list is checked, the vault is opened, and the time
is measured. Only a full drill proves that a restore works. Without a name, the newest backup.

Exit code 0: it passed, 3: it passed with warnings, the vault stayed closed for one, 1: it found something wrong.`,
		ValidArgsFunction: a.completeBackups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.Backup = args[0]
			}
			o.Password = a.restorePassword(passwordFile)
			e, err := a.engine(a.sink())
			if err != nil {
				return err
			}
			res, err := e.Drill(cmd.Context(), o)
			a.tidy()
			if err != nil {
				return a.fail("drill", err)
			}
			switch {
			case !res.Passed:
				a.exit = ExitFailed
			case len(res.Warnings) > 0:
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.line(drillSummary(res, a.exit))
			}
			a.printDrill(res)
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Light, "light", false, "only today's files, agents, shell files, vault, small databases and 20 files drawn at random")
	f.BoolVar(&o.Script, "script", false, "restore with the backup's own restore_maia.sh, on stock tools")
	f.BoolVar(&o.Download, "download", false, "download what OneDrive has evicted")
	fileFlag(cmd, &passwordFile)
	return cmd
}

type drillLine struct {
	Event    string `json:"event"`
	Version  int    `json:"version"`
	Kind     string `json:"kind"`
	Status   string `json:"status"`
	ExitCode int    `json:"exit_code"`
	runFields
	Drill *engine.DrillResult `json:"drill"`
}

func drillSummary(r *engine.DrillResult, exit int) drillLine {
	status := repository.StatusCompleted
	switch {
	case !r.Passed:
		status = "failed"
	case len(r.Warnings) > 0:
		status = repository.StatusCompletedWithWarnings
	}
	warnings := r.Warnings
	if warnings == nil {
		warnings = []repository.Warning{}
	}
	return drillLine{Event: "summary", Version: 1, Kind: "drill", Status: status, ExitCode: exit, Drill: r,
		runFields: runFields{BackupID: r.BackupID, SourceBytes: r.Bytes, Seconds: r.Seconds, Warnings: warnings, Sync: syncSummary{State: "local_only"}}}
}

func (a *app) printDrill(r *engine.DrillResult) {
	a.warnings(r.Warnings)
	kind := "full"
	if r.Light {
		kind = "light"
	}
	if !r.Passed {
		a.printf("The %s drill of %s FAILED:\n", kind, r.BackupID)
		for i, p := range r.Problems {
			if i == 20 && !a.flags.verbose {
				a.printf("  and %d more; --verbose lists them all\n", len(r.Problems)-i)
				break
			}
			a.printf("  %s\n", clean(p))
		}
		a.say("what to do: `maia-dr verify --all` mends what it can; then make a new backup and rehearse that.\n")
		return
	}
	a.printf("The %s drill of %s passed: %s, %s, restored and compared in %s; %s; %d %% read from OneDrive.\n", kind, r.BackupID,
		count(r.Files, "file", "files"), size(r.Bytes), took(seconds(r.Seconds)), count(r.Databases, "database checked", "databases checked"), r.ReadFromOneDrive)
	a.printEstimate(r.Estimate)
}

// printEstimate says what a restore on a new machine would take, and what that is made of.
func (a *app) printEstimate(e engine.Estimate) {
	head := "A new machine would need"
	if !e.Complete {
		head += " at least"
	}
	a.printf("%s %s:\n", head, took(seconds(e.Seconds)))
	rows := [][]string{}
	for _, p := range e.Parts {
		t := "unknown"
		if p.Seconds != nil {
			t = took(seconds(*p.Seconds))
		}
		rows = append(rows, []string{"  " + p.Name, t, clean(p.From)})
	}
	table(a.Out, rows)
}
