package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/vault"
)

func (a *app) backupCommand() *cobra.Command {
	var o engine.BackupOptions
	var noWait, scheduled bool
	var wait time.Duration
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Make one backup, check it, and put it into the OneDrive folder",
		Long: `Make one backup: capture what changed, read it back, put it into the OneDrive folder, and apply the
retention rule (7 daily, 4 weekly, 12 monthly).

Secrets are sealed in a vault with the password from the Keychain. Without one, the backup is made without a vault
and the exit code is 3; with --no-vault that is meant, and it is 0.

With --scheduled, as the schedule starts it: nothing is done where the day has its backup already or backups are paused;
another run is waited for, half an hour at most; the weekly restore drill follows.`,
		Args: argsBetween(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if passwordFile != "" {
				p, err := a.passwordFile(passwordFile)
				if err != nil {
					return err
				}
				a.password = func(context.Context) (vault.Password, error) { return p, nil }
			} else {
				a.password = a.backupPassword(scheduled)
			}
			if scheduled {
				return a.backUpScheduled(cmd.Context(), o)
			}
			e, err := a.engine(a.sink())
			if err != nil {
				return err
			}
			if until := a.pausedUntil(e); scheduled && !until.IsZero() {
				return a.skipPaused(until)
			}
			ended := a.backupBegins(cmd.Context(), e)
			res, err := e.Backup(cmd.Context(), o)
			a.tidy()
			ended(res, err)
			if err != nil {
				return a.fail("backup", err)
			}
			exit := ExitDone
			if len(res.Warnings) > 0 {
				exit = ExitIncomplete
			}
			return a.done(exit, backupSummary(res, exit), func() { a.printBackup(res) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.NoVault, "no-vault", false, "leave secret-bearing files out by choice")
	f.BoolVar(&o.Adopt, "adopt", false, "take over a repository that another installation wrote")
	f.DurationVar(&wait, "wait", 5*time.Minute, "how long to wait for OneDrive, where it can be asked")
	f.BoolVar(&noWait, "no-wait", false, "do not wait for OneDrive")
	f.BoolVar(&scheduled, "scheduled", false, "this run was started by the schedule")
	fileFlag(cmd, &passwordFile)
	return cmd
}

// backupLine is the summary of a backup.
type backupLine struct {
	runLine
	Files     int      `json:"files"`
	NewChunks int      `json:"new_chunks"`
	Pruned    []string `json:"pruned,omitempty"`
}

func backupSummary(r *engine.BackupResult, exit int) backupLine {
	return backupLine{
		runLine: summary("backup", r.Status, exit, runFields{BackupID: r.BackupID, StoredBytes: r.StoredBytes, SourceBytes: r.SourceBytes,
			Seconds: r.Duration.Seconds(), Warnings: r.Warnings, Sync: syncSummary{State: r.SyncState}}),
		Files: r.Files, NewChunks: r.NewChunks, Pruned: r.Pruned,
	}
}

func (a *app) printBackup(r *engine.BackupResult) {
	a.warnings(r.Warnings)
	a.printf("Backup %s is complete: %s, %s; %s new, in %s.\n", r.BackupID, count(r.Files, "file", "files"), size(r.SourceBytes), size(r.StoredBytes), took(r.Duration))
	a.say("It lies in %s; whether OneDrive has uploaded it is not known.\n", clean(r.Manifest.OneDrivePath))
	if n := len(r.Pruned); n > 0 {
		a.say("The retention rule removed %s.\n", count(n, "old backup", "old backups"))
	}
}
