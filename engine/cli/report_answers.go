package cli

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
)

// reportAnswers are the three answers. What is not known is never a yes.
func reportAnswers(r *engine.Report) []reportAnswer {
	s, now := r.Status, r.GeneratedAt
	safe := reportAnswer{"Is my work safe?", "Yes", "good", ""}
	switch {
	case s.Newest == nil:
		safe.Verdict, safe.Class, safe.Text = "No", "bad", "There is no complete backup yet."
	case s.Overdue:
		safe.Verdict, safe.Class = "Not what is new", "bad"
	case s.LastFailure != nil && s.LastFailure.Code != string(engine.CodeCancelled):
		safe.Verdict, safe.Class = "Only until the last backup", "bad"
	case s.Newest.Warnings > 0:
		safe.Verdict, safe.Class = "Yes, with warnings", "warn"
	}
	if n := s.Newest; n != nil {
		safe.Text = fmt.Sprintf("The newest complete backup is %s old, of %s: %s, %s.", engine.AgeText(now.Sub(n.CreatedAt)),
			n.CreatedAt.Local().Format("Mon 2 Jan 2006 15:04"), count(n.Files, "file", "files"), size(n.SourceBytes))
		if n.Warnings > 0 {
			safe.Text += fmt.Sprintf(" It has %s.", count(n.Warnings, "warning", "warnings"))
		}
	}
	if f := s.LastFailure; f != nil && f.Code != string(engine.CodeCancelled) {
		safe.Text += " The last attempt failed: " + clean(f.Error) + "."
	}
	return []reportAnswer{safe, cloudAnswer(s), restoreAnswer(&s.Restore, now)}
}

var quantity = regexp.MustCompile(`([0-9]) (s|min|h|days?|hours?|%|[kMGT]?B)\b`)

// tight keeps a number and its unit on one line.
func tight(text string) string { return quantity.ReplaceAllString(text, "$1\u00a0$2") }

func cloudAnswer(s *engine.Status) reportAnswer {
	a := reportAnswer{"Is it in the cloud?", "Not known", "unknown", ""}
	switch s.OneDrive.State {
	case onedrive.CloudVerified.String():
		a.Verdict, a.Class = "Yes, verified", "good"
	case onedrive.ClientUploaded.String():
		a.Verdict, a.Class = "OneDrive says so", "good"
	case onedrive.Uploading.String(), onedrive.Pending.String():
		a.Verdict, a.Class = "Not yet", "warn"
	}
	text := rungText(onedrive.Unknown)
	switch sync := s.OneDrive.Sync; {
	case s.OneDrive.Path == "":
		a.Text = "There is no OneDrive folder."
		return a
	case s.Backups == 0:
		a.Text = "There is nothing to upload yet."
		return a
	case sync != nil && sync.CanAnswer:
		text = reportUpload(sync)
		switch {
		case sync.All.Verdict == onedrive.Blocked, sync.All.Verdict == onedrive.Stuck:
			a.Verdict, a.Class = "No, it is held up", "bad"
		case sync.All.Late:
			a.Verdict, a.Class = "Not yet, it is slow", "warn"
		}
	case s.OneDrive.State == onedrive.LocalOnly.String():
		text = rungText(onedrive.LocalOnly)
	}
	a.Text = fmt.Sprintf("%s, %s: %s.", count(s.Backups, "backup", "backups"), size(s.TotalBytes), text)
	return a
}

// reportUpload says how far the upload of all backups is.
func reportUpload(sync *engine.SyncStatus) string {
	j := &sync.All
	waiting := fmt.Sprintf("%s (%s), the oldest for %s", waitText(j.Waiting, j.Files), size(j.WaitingBytes), engine.AgeText(seconds(sync.WaitedSeconds)))
	switch j.Verdict {
	case onedrive.Done:
		return rungText(j.Rung)
	case onedrive.Blocked:
		return j.Class.Text() + "; " + waiting
	case onedrive.Unknowable:
		return "OneDrive does not say; " + waiting
	}
	return waiting
}

func restoreAnswer(r *engine.RestoreStatus, now time.Time) reportAnswer {
	a := reportAnswer{"Would a restore work?", "Not proven", "unknown", ""}
	switch {
	case r.Proven:
		a.Verdict, a.Class = "Proven", "good"
		a.Text = fmt.Sprintf("A full drill restored everything %s ago, in %s.", engine.AgeText(now.Sub(r.LastFull.At)), took(seconds(r.LastFull.RestoreSeconds)))
	case r.Why == engine.UnprovenFailed:
		a.Verdict, a.Class = "Doubtful", "bad"
		fallthrough
	default:
		text := engine.UnprovenText(r.Why)
		a.Text = strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):] + "."
	}
	atLeast := "at least "
	if r.Estimate.Complete {
		atLeast = "about "
	}
	if r.Estimate.Seconds > 0 {
		a.Text += " A new machine would need " + atLeast + shortTook(r.Estimate.Seconds) + "."
	}
	return a
}
