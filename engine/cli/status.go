package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/state"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Is my work safe, is it in the cloud, would a restore work", Args: argsBetween(0, 0),
		Long: "Answer three questions. Exit code 0: fine, 3: something needs attention, 1: the state cannot be read.",
		RunE: func(*cobra.Command, []string) error {
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
			a.printStatus(s)
			return nil
		},
	}
}

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
