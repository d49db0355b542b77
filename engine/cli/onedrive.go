package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
)

func (a *app) oneDriveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "onedrive", Short: "The OneDrive folder, and what is known of the upload", Args: argsBetween(0, 0),
		Long: `The OneDrive folder, and what is known of the upload.

What is known is a step of a ladder, and never more than its source can know: unknown, local_only (a folder nobody can be
asked about), pending, uploading, client_uploaded (OneDrive reports it uploaded), cloud_verified (Microsoft has it with the
same size and hash).`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.oneDriveStatusCommand(), a.oneDriveRecordCommand(),
		a.oneDriveLoginCommand(), a.oneDriveLogoutCommand(), a.oneDriveCheckCommand())
	return cmd
}

// oneDriveStatus is what `onedrive status` answers.
type oneDriveStatus struct {
	Version    int                `json:"version"`
	Path       string             `json:"path"`
	Why        string             `json:"why"`
	Candidates []string           `json:"candidates"`
	Sync       *engine.SyncStatus `json:"sync"`
}

func (a *app) oneDriveStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Which folder, why, and how far each backup's upload is", Args: argsBetween(0, 0),
		Long: `Say which folder it is and why, look at the files that await upload, and say how far each backup is. A backup's step
is the lowest of all its files, old ones that it shares included.

Exit code 0: uploaded, on its way, or nobody can be asked; 3: something is in the way, slow or stuck.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			f, err := e.OneDriveFolder()
			if err != nil {
				return err
			}
			s, err := e.Sync(cmd.Context())
			if err != nil {
				return err
			}
			if s != nil && len(engine.SyncProblems(s)) > 0 {
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.writeJSON(oneDriveStatus{Version: 1, Path: f.Path, Why: f.Why, Candidates: f.Candidates, Sync: s})
			}
			a.printOneDrive(f, s)
			return nil
		},
	}
}

func (a *app) printOneDrive(f onedrive.Folder, s *engine.SyncStatus) {
	a.printf("Folder: %s (%s)\n", clean(f.Path), clean(f.Why))
	for _, c := range f.Candidates {
		if c != f.Path {
			a.printf("  not this one: %s\n", clean(c))
		}
	}
	if s == nil {
		a.printf("Upload: nothing of this installation is there to be watched\n")
		return
	}
	a.printf("Asked: %s; %s\n", s.Source, healthText(s.Health))
	a.printf("Upload: %s\n", uploadText(s))
	rows := [][]string{}
	for _, b := range s.Backups {
		note := ""
		if b.Waiting > 0 && s.CanAnswer {
			note = waitText(b.Waiting, b.Files)
		} else if u := b.Uploaded; u != nil {
			note = "uploaded in " + took(seconds(u.Seconds))
		}
		rows = append(rows, []string{"  " + b.BackupID, b.Rung.String(), note})
	}
	table(a.Out, rows)
	a.printProblemList(engine.SyncProblems(s))
}

// uploadText says in one line how the upload of everything stands.
func uploadText(s *engine.SyncStatus) string {
	j := s.All
	waiting := fmt.Sprintf("%s (%s), the oldest for %s", waitText(j.Waiting, j.Files), size(j.WaitingBytes), waitedText(s.WaitedSeconds))
	switch {
	case j.Verdict == onedrive.Done:
		return fmt.Sprintf("%s: %s, %s", rungText(j.Rung), count(j.Files, "file", "files"), size(j.Bytes))
	case !s.CanAnswer && j.Class == "":
		return "nobody can be asked: " + rungText(onedrive.LocalOnly)
	case j.Verdict == onedrive.Blocked:
		return "blocked, " + j.Class.Text() + ": " + waiting
	case j.Verdict == onedrive.Unknowable:
		return "OneDrive does not say: " + waiting
	}
	return string(j.Verdict) + ": " + waiting
}

func (a *app) oneDriveRecordCommand() *cobra.Command {
	return &cobra.Command{
		Use: "record", Short: "Write down what this Mac answers about files, to be sent in", Args: argsBetween(0, 0),
		Long: `Write down, as JSON, what this Mac answers when it is asked about the files of the newest backup. Paths, names and
everything else of yours are taken out: keys, numbers and lengths remain. Look through it before you send it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			r, err := e.RecordOneDrive(cmd.Context())
			if err != nil {
				return err
			}
			return a.writeJSON(r)
		},
	}
}

// chooseOneDrive asks which of several accounts' folders is meant. It is asked once: the first backup remembers it.
func (a *app) chooseOneDrive(e *engine.Engine) (again bool, err error) {
	f, err := e.OneDriveFolder()
	if !errors.Is(err, onedrive.ErrSeveral) || !a.Terminal || a.flags.quiet || a.flags.json {
		return false, nil // the run says it with its code
	}
	var question strings.Builder
	question.WriteString("Several OneDrive accounts have a folder:\n")
	for i, c := range f.Candidates {
		fmt.Fprintf(&question, "  %d  %s\n", i+1, clean(c))
	}
	answer, aerr := a.ask(question.String() + "Which one is for the backups? [number] ")
	if aerr != nil {
		return false, nil //nolint:nilerr // nobody answers: the run says it with its code
	}
	n, aerr := strconv.Atoi(answer)
	if aerr != nil || n < 1 || n > len(f.Candidates) {
		return false, usageError(fmt.Errorf("%q is none of the numbers", answer))
	}
	a.flags.oneDrive = f.Candidates[n-1]
	return true, nil
}

// helperCommand is this program as its own child, see onedrive.Helper. It is nothing for people.
func (a *app) helperCommand() *cobra.Command {
	return &cobra.Command{
		Use: onedrive.HelperCommand, Hidden: true, Args: argsBetween(0, 0), Short: "Not for people",
		RunE: func(*cobra.Command, []string) error { return onedrive.RunHelper(a.In, a.Out) },
	}
}
