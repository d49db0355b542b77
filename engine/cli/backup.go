package cli

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/repository"
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
			res, err := e.Backup(cmd.Context(), o)
			a.tidy()
			if err != nil {
				return a.fail("backup", err)
			}
			if len(res.Warnings) > 0 {
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.line(backupSummary(res, a.exit))
			}
			a.printBackup(res)
			return nil
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

// summary is the last line of JSON output of a run.
type summary struct {
	Event       string               `json:"event"`
	Version     int                  `json:"version"`
	BackupID    string               `json:"backup_id,omitempty"`
	Status      string               `json:"status"`
	StoredBytes int64                `json:"stored_bytes"`
	SourceBytes int64                `json:"source_bytes"`
	Files       int                  `json:"files"`
	NewChunks   int                  `json:"new_chunks"`
	Seconds     float64              `json:"duration_s"`
	Warnings    []repository.Warning `json:"warnings"`
	Sync        syncSummary          `json:"sync"`
	Pruned      []string             `json:"pruned,omitempty"`
	ExitCode    int                  `json:"exit_code"`
}

// runFields are in the summary of every run; a run that reads stores nothing.
type runFields struct {
	BackupID    string               `json:"backup_id"`
	StoredBytes int64                `json:"stored_bytes"`
	SourceBytes int64                `json:"source_bytes"`
	Seconds     float64              `json:"duration_s"`
	Warnings    []repository.Warning `json:"warnings"`
	Sync        syncSummary          `json:"sync"`
}

type syncSummary struct {
	State string `json:"state"`
}

func backupSummary(r *engine.BackupResult, exit int) summary {
	w := r.Warnings
	if w == nil {
		w = []repository.Warning{}
	}
	return summary{
		Event: "summary", Version: 1, BackupID: r.BackupID, Status: r.Status, StoredBytes: r.StoredBytes, SourceBytes: r.SourceBytes,
		Files: r.Files, NewChunks: r.NewChunks, Seconds: r.Duration.Seconds(), Warnings: w, Sync: syncSummary{State: r.SyncState},
		Pruned: r.Pruned, ExitCode: exit,
	}
}

// failure is the summary of a run that failed.
type failure struct {
	Event    string       `json:"event"`
	Version  int          `json:"version"`
	Kind     string       `json:"kind"`
	Status   string       `json:"status"`
	Error    failureError `json:"error"`
	ExitCode int          `json:"exit_code"`
	runFields
}

type failureError struct {
	Code    engine.Code `json:"code"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"`
}

// fail reports an error of a run that speaks JSON lines: its last line says so too.
func (a *app) fail(kind string, err error) error {
	a.tidy()
	if !a.flags.json {
		return err
	}
	f := failure{Event: "summary", Version: 1, Kind: kind, Status: "failed", ExitCode: exitCode(err),
		runFields: runFields{Warnings: []repository.Warning{}, Sync: syncSummary{State: "unknown"}}}
	f.Error = failureError{Code: engine.CodeOf(err), Message: err.Error()}
	if f.Error.Code == engine.CodeCancelled {
		f.Status = "cancelled"
	}
	var known *engine.Error
	if errors.As(err, &known) {
		f.Error.Hint = known.Advice()
	}
	if lerr := a.line(f); lerr != nil {
		return errors.Join(err, lerr)
	}
	a.report(err)
	return &reportedError{err}
}

// line writes one line of JSON.
func (a *app) line(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// tidy takes the progress bar off the screen before the answer is written.
func (a *app) tidy() {
	for _, f := range a.cleanup {
		f()
	}
	a.cleanup = nil
}

func (a *app) printBackup(r *engine.BackupResult) {
	a.warnings(r.Warnings)
	a.printf("Backup %s is complete: %s, %s; %s new, in %s.\n", r.BackupID, count(r.Files, "file", "files"), size(r.SourceBytes), size(r.StoredBytes), took(r.Duration))
	a.say("It lies in %s; whether OneDrive has uploaded it is not known.\n", clean(r.Manifest.OneDrivePath))
	if n := len(r.Pruned); n > 0 {
		a.say("The retention rule removed %s.\n", count(n, "old backup", "old backups"))
	}
}
