package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/state"
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
another run is waited for, half an hour at most; the weekly restore drill follows.

Then it waits for OneDrive, where OneDrive can be asked, for at most --wait (default: sync.wait of the configuration, 5m).
Exit code 4: the backup is complete, and its upload goes on; whatever runs next, status too, carries the watching on.`,
		Example: `  maia-dr backup
  maia-dr backup --wait 10m
  maia-dr backup --no-vault --no-wait`,
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
				return a.backUpScheduled(cmd, o, wait, noWait)
			}
			e, err := a.engine(a.sink())
			if err != nil {
				return err
			}
			limit, err := waitLimit(cmd, e, wait, noWait)
			if err != nil {
				return err
			}
			if chosen, err := a.chooseOneDrive(e); err != nil {
				return err
			} else if chosen {
				if e, err = a.engine(a.sink()); err != nil {
					return err
				}
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
			w := a.waitForSync(cmd.Context(), e, res, limit)
			if w.asked {
				a.tellEnd(cmd.Context(), e)
			}
			exit = w.exit(exit)
			return a.done(exit, backupSummary(res, &w, exit), func() { a.printBackup(res, &w) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.NoVault, "no-vault", false, "leave secret-bearing files out by choice")
	f.BoolVar(&o.Adopt, "adopt", false, "take over a repository that another installation wrote")
	f.DurationVar(&wait, "wait", 0, "the `DURATION` to wait for OneDrive, where it can be asked: 90s, 10m (default: as configured)")
	f.BoolVar(&noWait, "no-wait", false, "do not wait for OneDrive")
	f.BoolVar(&scheduled, "scheduled", false, "this run was started by the schedule")
	fileFlag(cmd, &passwordFile)
	return cmd
}

// backupLine is the summary of a backup.
type backupLine struct {
	runLine
	Files     int `json:"files"`
	NewChunks int `json:"new_chunks"`
	// Published is how much of the time it took until the backup was in the OneDrive folder; the light drill follows.
	Published float64  `json:"published_s"`
	Pruned    []string `json:"pruned,omitempty"`
	// Secrets counts what it has of secret-bearing files; History says where the git history is, if not here;
	// Findings are what the search for secrets found.
	Secrets  engine.SecretsKept `json:"secrets"`
	History  string             `json:"git_history,omitempty"`
	Findings []state.Problem    `json:"findings,omitempty"`
}

func backupSummary(r *engine.BackupResult, w *waited, exit int) backupLine {
	return backupLine{
		runLine: summary("backup", r.Status, exit, runFields{BackupID: r.BackupID, StoredBytes: r.StoredBytes, SourceBytes: r.SourceBytes,
			Seconds: r.Duration.Seconds(), Warnings: r.Warnings, Sync: w.summary()}),
		Files: r.Files, NewChunks: r.NewChunks, Published: r.Published.Seconds(), Pruned: r.Pruned, Secrets: r.Secrets, History: r.History, Findings: r.Findings,
	}
}

func (a *app) printBackup(r *engine.BackupResult, w *waited) {
	a.warnings(r.Warnings)
	a.printf("Backup %s is complete: %s, %s; %s new, in %s.\n", r.BackupID, count(r.Files, "file", "files"), size(r.SourceBytes), size(r.StoredBytes), took(r.Duration))
	a.printWaited(w, clean(r.Manifest.OneDrivePath))
	a.printLeftOut(r)
	if n := len(r.Pruned); n > 0 {
		a.say("The retention rule removed %s.\n", count(n, "old backup", "old backups"))
	}
}

// printLeftOut says what a backup without a vault lacks, and what the search for secrets found.
func (a *app) printLeftOut(r *engine.BackupResult) {
	if text := r.Secrets.LeftOut(); text != "" && r.Manifest.PasswordNumber == 0 {
		a.say("No vault: %s; `maia-dr show --secrets` names each.\n", text)
	}
	if text := r.History; text != "" {
		a.say("%s%s.\n", strings.ToUpper(text[:1]), clean(text[1:]))
	}
	likely := 0
	for _, p := range r.Findings {
		if p.Code == engine.FindingLikely {
			likely++
		}
	}
	if likely > 0 {
		a.say("%s to hold a secret in plain text: `maia-dr show --secrets` says where, and what to do.\n",
			count(likely, "file of the backup seems", "files of the backup seem"))
	}
	if other := len(r.Findings) - likely; other > 0 {
		a.say("%s about secrets: `maia-dr show --secrets` says which, and what to do.\n", count(other, "finding", "findings"))
	}
}
