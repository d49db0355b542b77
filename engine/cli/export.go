package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
)

func (a *app) exportCommand() *cobra.Command {
	var o engine.ExportOptions
	cmd := &cobra.Command{
		Use: "export BACKUP DIR", Short: "Copy one backup to a folder of its own, for a stick", Args: argsBetween(2, 2),
		Long: `Copy one backup to a folder of its own, and read the copy back. The folder needs nothing else: on any Mac,
bash DIR/restore_maia.sh restores from it, and maia-dr does with --onedrive-path DIR. With --archives it holds
ordinary archives instead, which a double click opens: maia_code.tar.gz, maia_data_small.tar.gz, and large databases
in pieces of 50 MB, DATABASE.chunk1 and so on; README.txt says how to join them.

DIR must be empty or not exist yet. After an interruption, the same command goes on where it was. The vault stays
sealed; everything else is unencrypted in DIR, as it is in OneDrive.`,
		Example: `  maia-dr export latest /Volumes/STICK
  maia-dr export full_20251013 ~/Desktop/maia --archives`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return a.completeUpTo(1)(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Backup, o.Dir = args[0], args[1]
			e, err := a.engine(a.sink())
			if err != nil {
				return err
			}
			res, err := e.Export(cmd.Context(), o)
			if err != nil {
				return a.fail("export", err)
			}
			line := exportLine{ExportResult: res, runLine: summary("export", repository.StatusCompleted, ExitDone, runFields{
				BackupID: res.BackupID, SourceBytes: res.SourceBytes, Seconds: res.Duration.Seconds(), Sync: syncSummary{State: e.SyncState(res.BackupID)}})}
			return a.done(ExitDone, line, func() { a.printExport(res) })
		},
	}
	cmd.Flags().BoolVar(&o.Archives, "archives", false, "write ordinary archives instead of a repository")
	return cmd
}

// exportLine is the summary of an export.
type exportLine struct {
	runLine
	*engine.ExportResult
}

func (a *app) printExport(r *engine.ExportResult) {
	for _, n := range r.Newer {
		a.say("Newer, but not complete: %s\n", clean(n))
	}
	a.printf("%s is in %s: %s, %s, read back and whole, in %s.\n", r.BackupID, clean(r.Dir), count(r.Written+r.Kept, "file", "files"), size(r.Bytes), took(r.Duration))
	if r.Kept > 0 {
		a.say("%s there already.\n", count(r.Kept, "of them was", "of them were"))
	}
	if r.Archives {
		a.say("%s says how to open what is there.\n", clean(filepath.Join(r.Dir, repository.ReadmeName)))
	} else {
		a.say("Restore from it with: bash %s\n", clean(filepath.Join(r.Dir, repository.ScriptName)))
	}
	if r.Vault {
		a.say("The vault is in it, sealed. Everything else is unencrypted.\n")
	} else {
		a.say("No vault is in it: secrets are missing. Everything is unencrypted.\n")
	}
}
