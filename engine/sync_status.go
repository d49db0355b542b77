package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"maia-dr/engine/onedrive"
	"maia-dr/engine/state"
)

// Values of Status.Light.
const (
	// LightGreen: everything is proven, or young enough.
	LightGreen = "green"
	// LightNeutral: nothing is wrong, but not everything is known.
	LightNeutral = "neutral"
	// LightAttention: something needs attention.
	LightAttention = "attention"
)

// statusLimit is how long the status looks: longer than OneDrive is waited for, so that its silence can be told, and
// hashing what was just uploaded gets some time.
const statusLimit = 2 * lookLimit

// statusSync looks at what awaits upload, and enters what is known of it into the status.
func (e *Engine) statusSync(s *Status) {
	ctx, cancel := context.WithTimeout(context.Background(), statusLimit)
	defer cancel()
	sync, err := e.Sync(ctx)
	if err != nil {
		s.OneDrive.State = onedrive.Unknown.String()
		s.problem(err)
		return
	}
	if sync == nil {
		// There are backups, but this machine does not watch them.
		if onedrive.CanAnswer(e.provider(s.OneDrive.Path)) {
			s.OneDrive.State = onedrive.Unknown.String()
		}
		return
	}
	s.OneDrive.Sync = sync
	s.OneDrive.State = onedrive.Unknown.String()
	if s.Newest != nil {
		s.OneDrive.State = sync.Backup(s.Newest.BackupID).Rung.String()
	}
	s.Problems = append(s.Problems, syncProblems(sync)...)
}

// syncProblems are what somebody has to see to. That files wait for less than the slow limit is none.
func syncProblems(s *SyncStatus) []state.Problem {
	var out []state.Problem
	j := s.All
	waiting := waitingText(&j) + ", the oldest for " + hoursAndMinutes(j.Waited)
	switch {
	case !s.CanAnswer && j.Class == "":
	case j.Verdict == onedrive.Blocked:
		text := j.Class.Text()
		if j.Detail != "" {
			text += " (" + j.Detail + ")"
		}
		out = append(out, state.Problem{Code: "sync_blocked", Text: text + ": " + waitingText(&j), Hint: j.Class.Remedy()})
	case j.Verdict == onedrive.Stuck:
		text := "OneDrive is not progressing (paused, offline, signed out or busy): " + waiting
		if len(j.RuledOut) > 0 {
			text += "; ruled out: " + strings.Join(j.RuledOut, ", ")
		}
		out = append(out, state.Problem{Code: "sync_stuck", Text: text, Hint: "look at OneDrive's cloud in the menu bar: resume syncing, or quit it and start it again"})
	case j.Verdict == onedrive.Slow:
		out = append(out, state.Problem{Code: "sync_slow", Text: "OneDrive is slow: " + waiting, Hint: "let it go on; if it happens often, look at the connection, or set sync.slow_after higher"})
	case j.Late:
		out = append(out, state.Problem{Code: "sync_unknown", Text: "OneDrive does not say whether it uploads: " + waiting, Hint: "look at OneDrive's cloud in the menu bar; `maia-dr onedrive record` writes down what this Mac answers"})
	case s.Health.SignedIn == onedrive.No:
		out = append(out, state.Problem{Code: "sync_blocked", Text: onedrive.SignedOut.Text() + ": the next backup would wait for it", Hint: onedrive.SignedOut.Remedy()})
	}
	for _, b := range s.Backups {
		if (&state.SyncBackup{Uploaded: b.Uploaded}).Damaged() {
			bad := b.Uploaded.Hash.Bad
			out = append(out, state.Problem{Code: string(CodeDamaged),
				Text: fmt.Sprintf("when %s was uploaded, %s no longer as recorded: %s", b.BackupID, counted(len(bad), "of its local files was", "of its local files were"), bad[0]),
				Hint: "run `maia-dr verify --all`: it replaces what has a whole copy"})
			break
		}
	}
	return out
}

// light folds the status into one colour. Green is proven, never assumed.
func (s *Status) light() string {
	sync := s.OneDrive.Sync
	switch {
	case len(s.Problems) > 0:
		return LightAttention
	case s.Newest == nil, s.Overdue, !s.Restore.Proven, sync == nil, !sync.CanAnswer && sync.All.Verdict != onedrive.Done:
		return LightNeutral
	case sync.All.Late, sync.All.Verdict != onedrive.Done && sync.All.Verdict != onedrive.Progressing:
		return LightNeutral
	}
	// All speaks of the backups that are watched: the newest has to be one of them.
	if b := sync.Backup(s.Newest.BackupID); b.Late || b.Verdict != onedrive.Done && b.Verdict != onedrive.Progressing {
		return LightNeutral
	}
	return LightGreen
}

// waitingText says how many files await upload.
func waitingText(j *onedrive.Judgement) string {
	verb := "await"
	if j.Waiting == 1 {
		verb = "awaits"
	}
	return fmt.Sprintf("%d of %s %s upload", j.Waiting, counted(j.Files, "file", "files"), verb)
}

// hoursAndMinutes writes a long time for people; of more than two days only the days.
func hoursAndMinutes(d time.Duration) string {
	d = d.Round(time.Minute)
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d >= 48*time.Hour:
		return AgeText(d)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}
