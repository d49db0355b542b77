package cli

import (
	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

func (a *app) verifyCommand() *cobra.Command {
	var o engine.VerifyOptions
	var download bool
	cmd := &cobra.Command{
		Use: "verify [BACKUP…]", Short: "Compare stored bytes with their hashes", Args: argsBetween(0, -1),
		Long: `Compare stored bytes with their hashes: every file of a backup, every chunk it refers to, every file and
database in it. Without a name, the newest complete backup.`,
		ValidArgsFunction: a.completeBackups,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Backups = args
			e, err := a.engine(a.sink())
			if err != nil {
				return err
			}
			res, err := e.Verify(cmd.Context(), o)
			if err != nil {
				return a.fail("verify", err)
			}
			exit := ExitDone
			switch {
			case !res.OK():
				exit = ExitFailed
			case len(res.Repaired) > 0:
				exit = ExitIncomplete
			}
			return a.done(exit, verifySummary(res, exit), func() { a.printVerify(res) })
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "verify every backup")
	cmd.Flags().BoolVar(&download, "download", false, "download what OneDrive has evicted")
	return cmd
}

// verifyLine is the summary of a verification.
type verifyLine struct {
	runLine
	*engine.VerifyResult
}

func verifySummary(r *engine.VerifyResult, exit int) verifyLine {
	status := repository.StatusCompleted
	if !r.OK() {
		status = "damaged"
	}
	return verifyLine{VerifyResult: r,
		runLine: summary("verify", status, exit, runFields{BackupID: firstID(r), Seconds: r.Duration.Seconds(), Sync: syncSummary{State: "local_only"}})}
}

func firstID(r *engine.VerifyResult) string {
	if len(r.Backups) == 0 {
		return ""
	}
	return r.Backups[0].BackupID
}

func (a *app) printVerify(r *engine.VerifyResult) {
	for _, b := range r.Backups {
		if b.OK {
			where := ""
			if b.LocalOnly {
				where = ", on this machine only: the next backup brings it into OneDrive"
			}
			a.printf("%s is whole: %s%s.\n", b.BackupID, count(b.Files, "file", "files"), where)
			continue
		}
		a.printf("%s is DAMAGED:\n", b.BackupID)
		a.printProblems(b.Problems)
	}
	for _, c := range r.Repaired {
		a.printf("Replaced by a whole copy: %s\n", clean(c))
	}
	a.say("%s, %s read.\n", count(r.Chunks, "chunk", "chunks"), size(r.Bytes))
	for _, f := range r.Foreign {
		a.say("%s does not belong to the repository. It is kept.\n", clean(f))
	}
	if !r.OK() {
		a.say("what to do: restore from a backup that is whole; the next backup stores again what is damaged and still on this machine.\n")
	}
}
