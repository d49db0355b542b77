package cli

import (
	"time"

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
		Example: `  maia-dr drill
  maia-dr drill --light
  maia-dr drill --script`,
		ValidArgsFunction: a.completeUpTo(1),
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
			if err != nil {
				return a.fail("drill", err)
			}
			exit, status := ExitDone, repository.StatusCompleted
			switch {
			case !res.Passed:
				exit, status = ExitFailed, "failed"
			case len(res.Warnings) > 0:
				exit, status = ExitIncomplete, repository.StatusCompletedWithWarnings
			}
			return a.done(exit, drillLine{Drill: res, runLine: summary("drill", status, exit, runFields{BackupID: res.BackupID, SourceBytes: res.Bytes,
				Seconds: res.Seconds, Warnings: res.Warnings, Sync: syncSummary{State: e.SyncState(res.BackupID)}})}, func() { a.printDrill(res) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Light, "light", false, "only today's files, agents, shell files, vault, small databases and 20 files drawn at random")
	f.BoolVar(&o.Script, "script", false, "restore with the backup's own restore_maia.sh, on stock tools")
	f.BoolVar(&o.Download, "download", false, "download what OneDrive has evicted")
	fileFlag(cmd, &passwordFile)
	return cmd
}

// drillLine is the summary of a drill.
type drillLine struct {
	runLine
	Drill *engine.DrillResult `json:"drill"`
}

func (a *app) printDrill(r *engine.DrillResult) {
	a.warnings(r.Warnings)
	kind := "full"
	if r.Light {
		kind = "light"
	}
	if !r.Passed {
		a.printf("The %s drill of %s failed:\n", kind, r.BackupID)
		a.printProblems(r.Problems)
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
	a.printf("%s %s:\n", head, took(max(seconds(e.Seconds), 100*time.Millisecond)))
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
