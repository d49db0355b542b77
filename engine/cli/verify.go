package cli

import (
	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

func (a *app) verifyCommand() *cobra.Command {
	var o engine.VerifyOptions
	cmd := &cobra.Command{
		Use: "verify [BACKUP…]", Short: "Compare stored bytes with their hashes", Args: argsBetween(0, -1),
		Long: `Compare stored bytes with their hashes: every file of a backup, every chunk it refers to, every file and
database in it. Without a name, the newest complete backup.

With --hashes, every stored byte is compared, and nothing is taken out of the chunks: that finds what has changed since it
was stored, in a small part of the time.`,
		Example: `  maia-dr verify
  maia-dr verify --all
  maia-dr verify --all --hashes`,
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
			case res.Damaged():
				exit = ExitFailed
			case !res.OK(), len(res.Repaired) > 0:
				exit = ExitIncomplete
			}
			return a.done(exit, verifySummary(res, exit, e.SyncState(firstID(res))), func() { a.printVerify(res) })
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "verify every backup")
	cmd.Flags().BoolVar(&o.HashesOnly, "hashes", false, "compare stored bytes only, and take no file out of its chunk")
	cmd.Flags().BoolVar(&o.Download, "download", false, "download what OneDrive has evicted")
	return cmd
}

// verifyLine is the summary of a verification.
type verifyLine struct {
	runLine
	*engine.VerifyResult
}

func verifySummary(r *engine.VerifyResult, exit int, sync string) verifyLine {
	status := repository.StatusCompleted
	switch {
	case r.Damaged():
		status = "damaged"
	case !r.OK():
		status = repository.StatusCompletedWithWarnings
	}
	return verifyLine{VerifyResult: r,
		runLine: summary("verify", status, exit, runFields{BackupID: firstID(r), Seconds: r.Duration.Seconds(), Sync: syncSummary{State: sync}})}
}

func firstID(r *engine.VerifyResult) string {
	if len(r.Backups) == 0 {
		return ""
	}
	return r.Backups[0].BackupID
}

func (a *app) printVerify(r *engine.VerifyResult) {
	damaged := false
	for _, b := range r.Backups {
		if b.OK {
			where := ""
			if b.LocalOnly {
				where = ", on this machine only: the next backup brings it into OneDrive"
			}
			if r.HashesOnly {
				a.printf("%s is stored as it was%s.\n", b.BackupID, where)
				continue
			}
			a.printf("%s is whole: %s%s.\n", b.BackupID, count(b.Files, "file", "files"), where)
			continue
		}
		if b.NotRead > 0 {
			a.printf("%s was not verified in full: %s not read, because OneDrive has evicted their content.\n", b.BackupID, count(b.NotRead, "file was", "files were"))
		}
		if len(b.Problems) == 0 {
			continue
		}
		damaged = true
		a.printf("%s is damaged:\n", b.BackupID)
		a.printProblems(b.Problems)
	}
	if len(r.Top) > 0 {
		a.printf("No restore needs them, and the next backup does; these are damaged:\n")
		a.printProblems(r.Top)
	}
	for _, c := range r.Repaired {
		a.printf("Replaced by a whole copy: %s\n", clean(c))
	}
	a.say("%s, %s read.\n", count(r.Chunks, "chunk", "chunks"), size(r.Bytes))
	for _, f := range r.Foreign {
		a.say("%s does not belong to the repository. It is kept.\n", clean(f))
	}
	if !r.OK() && !r.Damaged() {
		a.say("what to do: run it with --download.\n")
	}
	if len(r.Top) > 0 {
		a.say("what to do: run `maia-dr verify` on the Mac that makes the backups: it writes them anew.\n")
	}
	if damaged || len(r.BadChunks) > 0 {
		a.say("what to do: restore from a backup that is whole; the next backup stores again what is damaged and still on this machine.\n")
	}
}
