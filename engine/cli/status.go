package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/state"
)

func (a *app) statusCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "status", Short: "Is my work safe, is it in the cloud, would a restore work", Args: argsBetween(0, 0),
		Long: `Answer three questions. Exit code 0: fine, 3: something needs attention, 1: the state cannot be read.

--format prometheus writes the answers as metrics, for a textfile collector; what is not known has none.`,
		Example: `  maia-dr status
  maia-dr status --json
  maia-dr status --format prometheus`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != formatText && format != formatPrometheus {
				return usageErrorFor(cmd, fmt.Errorf("there is no format %q: there are %s and %s", format, formatText, formatPrometheus))
			}
			if a.flags.json && cmd.Flags().Changed("format") {
				return usageErrorFor(cmd, errors.New("--json and --format are two answers to one question"))
			}
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			s, err := e.Status()
			if err != nil {
				return err
			}
			if s.Overall != engine.OverallFine {
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.writeJSON(s)
			}
			if format == formatPrometheus {
				writeMetrics(a.Out, statusMetrics(s, a.Version))
				return nil
			}
			a.printStatus(s)
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", formatText, "the `FORMAT` of the answer: text or prometheus")
	completeFlag(cmd, "format", completeWords(formatText, formatPrometheus))
	return cmd
}

// The formats of a status besides JSON.
const (
	formatText       = "text"
	formatPrometheus = "prometheus"
)

func (a *app) printStatus(s *engine.Status) {
	now := a.Env.Now()
	a.printf("Last backup: %s\n", lastBackupText(s, now))
	a.printf("OneDrive: %s\n", oneDriveText(s))
	a.printf("Restore: %s\n", restoreText(&s.Restore, now))
	if s.Activity == state.Running && s.Run != nil {
		a.printf("Running: %s since %s%s\n", s.Run.Kind, s.Run.StartedAt.Local().Format("15:04:05"), percent(s.Run))
	}
	a.printProblemList(s.Problems)
	if a.flags.verbose {
		a.printf("\nMaia root: %s\nState: %s\nLog: %s\n", orUnknown(s.MaiaRoot), s.StateDir, s.LogFile)
	}
}

// printProblemList lists what needs attention, each with what to do about it.
func (a *app) printProblemList(list []state.Problem) {
	if len(list) == 0 {
		return
	}
	a.printf("\n%s:\n", count(len(list), "thing needs attention", "things need attention"))
	for _, p := range list {
		a.printf("  - %s\n", clean(p.Text))
		if p.Hint != "" {
			a.printf("    what to do: %s\n", p.Hint)
		}
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return clean(s)
}

func percent(r *state.Run) string {
	if r.TotalBytes == 0 {
		return ""
	}
	return fmt.Sprintf(", %s %d %%", phaseNames[r.Phase], 100*r.DoneBytes/r.TotalBytes)
}

func lastBackupText(s *engine.Status, now time.Time) string {
	if s.Newest == nil {
		return "none"
	}
	text := ago(now, s.Newest.CreatedAt)
	if s.Overdue {
		text += ", overdue"
	}
	text += fmt.Sprintf(" (%s), %s new", s.Newest.BackupID, size(s.Newest.StoredBytes))
	if l := s.LastBackup; l != nil && l.BackupID == s.Newest.BackupID {
		text += ", in " + took(time.Duration(l.Seconds*float64(time.Second)))
	}
	return text
}

func oneDriveText(s *engine.Status) string {
	if s.OneDrive.Path == "" {
		return "no folder"
	}
	if s.Backups == 0 {
		return "nothing stored yet in " + clean(s.OneDrive.Path)
	}
	text := fmt.Sprintf("%s, %s in %s (%s); ", count(s.Backups, "backup", "backups"), size(s.TotalBytes), clean(s.OneDrive.Path), clean(s.OneDrive.Why))
	switch sync := s.OneDrive.Sync; {
	case sync != nil && sync.CanAnswer:
		return text + uploadText(sync)
	case s.OneDrive.State == onedrive.LocalOnly.String():
		return text + rungText(onedrive.LocalOnly)
	}
	return text + rungText(onedrive.Unknown)
}

func restoreText(r *engine.RestoreStatus, now time.Time) string {
	if r.Proven {
		return fmt.Sprintf("proven %s in %s", ago(now, r.LastFull.At), took(seconds(r.LastFull.RestoreSeconds)))
	}
	return "not proven: " + engine.UnprovenText(r.Why)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
