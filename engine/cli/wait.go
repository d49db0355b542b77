package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
)

// syncSummary is what is known of a backup's upload, in a run's summary.
type syncSummary struct {
	State string `json:"state"`
	// The rest stands where somebody can be asked: how the waiting ended.
	Verdict      onedrive.Verdict `json:"verdict,omitempty"`
	Class        onedrive.Class   `json:"class,omitempty"`
	Waiting      int              `json:"waiting_files,omitempty"`
	WaitingBytes int64            `json:"waiting_bytes,omitempty"`
	WaitedS      float64          `json:"waited_s,omitempty"`
}

// waitLimit is how long a backup waits for OneDrive: the flags win over the configuration.
func waitLimit(cmd *cobra.Command, e *engine.Engine, wait time.Duration, noWait bool) (time.Duration, error) {
	given := cmd.Flags().Changed("wait")
	switch {
	case given && noWait:
		return 0, usageErrorFor(cmd, errors.New("--wait and --no-wait exclude each other"))
	case wait < 0:
		return 0, usageErrorFor(cmd, fmt.Errorf("--wait %s: it cannot be negative", wait))
	case noWait:
		return 0, nil
	case given:
		return wait, nil
	}
	return e.SyncWait(), nil
}

// waited is how the waiting for a backup's upload ended.
type waited struct {
	engine.BackupSync
	// asked: somebody could be asked, and was waited for.
	asked bool
	// took is how long it was waited.
	took time.Duration
	// state is the rung, for the summary.
	state string
}

// waitForSync waits for a backup's upload. That it cannot be watched was said by the backup.
func (a *app) waitForSync(ctx context.Context, e *engine.Engine, res *engine.BackupResult, limit time.Duration) waited {
	w := waited{state: res.SyncState}
	if limit == 0 {
		return w
	}
	began := a.Env.Now()
	s, err := e.WaitForSync(ctx, res.BackupID, limit)
	w.took = a.Env.Now().Sub(began)
	switch {
	case err != nil:
		w.state, w.asked = onedrive.Unknown.String(), true
		w.BackupSync = engine.BackupSync{BackupID: res.BackupID, Judgement: onedrive.Judgement{Verdict: onedrive.Unknowable, Detail: err.Error()}}
	case s == nil && ctx.Err() != nil && res.SyncState != onedrive.LocalOnly.String():
		w.asked, w.BackupSync = true, engine.BackupSync{Judgement: onedrive.Judgement{Verdict: onedrive.Unknowable, Detail: "the waiting was ended"}}
	case s != nil:
		w.BackupSync = s.Backup(res.BackupID)
		w.asked = s.CanAnswer && !w.Plain()
		w.state = w.Rung.String()
	}
	return w
}

// exit returns the exit code of a backup that would otherwise end with this one.
func (w *waited) exit(code int) int {
	if code == ExitDone && w.asked && w.Verdict != onedrive.Done {
		return ExitUploading
	}
	return code
}

func (w *waited) summary() syncSummary {
	s := syncSummary{State: w.state}
	if w.asked {
		s.Verdict, s.Class, s.Waiting, s.WaitingBytes, s.WaitedS = w.Verdict, w.Class, w.Waiting, w.WaitingBytes, w.took.Seconds()
	}
	return s
}

// print says where the backup lies and what is known of its upload.
func (a *app) printWaited(w *waited, folder string) {
	switch {
	case !w.asked && w.state == onedrive.LocalOnly.String():
		a.say("It lies in %s; whether OneDrive has uploaded it is not known (%s).\n", folder, w.state)
	case !w.asked:
		a.say("It lies in %s and awaits its upload; `maia-dr status` shows how far it is.\n", folder)
	case w.Verdict == onedrive.Done:
		a.printf("%s: %s, %s, after %s.\n", rungText(w.Rung), count(w.Files, "file", "files"), size(w.Bytes), took(w.took))
	case w.Verdict == onedrive.Blocked:
		a.printf("Not uploaded: %s%s. %s.\n", w.Class.Text(), inBrackets(w.Detail), w.waiting())
		fmt.Fprintf(a.Err, "  what to do: %s\n", w.Class.Remedy())
	case w.Verdict == onedrive.Unknowable:
		a.printf("Whether it is uploaded could not be found out within %s%s; the watching goes on with the next command.\n", took(w.took), inBrackets(w.Detail))
	default:
		a.printf("Uploading goes on: %s after %s. Nothing more has to be done here; `maia-dr status` shows how far it is.\n", w.waiting(), took(w.took))
	}
}

func (w *waited) waiting() string {
	return fmt.Sprintf("%s (%s)", waitText(w.Waiting, w.Files), size(w.WaitingBytes))
}

// waitText says how many files wait.
func waitText(waiting, files int) string {
	verb := "wait"
	if waiting == 1 {
		verb = "waits"
	}
	return fmt.Sprintf("%d of %s %s", waiting, count(files, "file", "files"), verb)
}

// waitedText says how long something has waited.
func waitedText(s float64) string {
	if d := seconds(s); d >= time.Hour {
		return engine.AgeText(d)
	}
	return took(seconds(s))
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + clean(s) + ")"
}

// rungText says a rung for people.
func rungText(r onedrive.Rung) string {
	switch r {
	case onedrive.LocalOnly:
		return "whether it is uploaded is not known (local_only)"
	case onedrive.Pending:
		return "awaits its upload"
	case onedrive.Uploading:
		return "being uploaded"
	case onedrive.ClientUploaded:
		return "OneDrive reports it uploaded"
	case onedrive.CloudVerified:
		return "verified in the cloud: size and hash are equal"
	}
	return "nothing is known of its upload"
}

// healthText says what is known of OneDrive itself.
func healthText(h onedrive.Health) string {
	var out []string
	for _, x := range []struct {
		t    onedrive.Tri
		name string
	}{{h.Running, "running"}, {h.SignedIn, "signed in"}, {h.QuotaLeft, "room left"}, {h.Reachable, "service reachable"}} {
		word, _ := x.t.MarshalText()
		out = append(out, x.name+" "+string(word))
	}
	return strings.Join(out, ", ")
}
