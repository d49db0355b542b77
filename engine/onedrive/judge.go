package onedrive

import "time"

// StuckAfter is how long, in awake time, no file may have changed state before the waiting is called stuck.
const StuckAfter = time.Hour

// Verdict says how the waiting for a set of files stands.
type Verdict string

// The verdicts.
const (
	// Done: every file is uploaded, as far as the source can know.
	Done Verdict = "done"
	// Progressing: files wait, for less than the slow limit.
	Progressing Verdict = "progressing"
	// Slow: the oldest one waits for longer than the slow limit.
	Slow Verdict = "slow"
	// Stuck: no file changed state for an hour. Whether OneDrive is paused cannot be found out.
	Stuck Verdict = "stuck"
	// Blocked: something is in the way that only a person can remove.
	Blocked Verdict = "blocked"
	// Unknowable: the source does not say.
	Unknowable Verdict = "unknowable"
)

// Judgement is the verdict on a set of files with what it is made of.
type Judgement struct {
	Verdict Verdict `json:"verdict"`
	// Rung is the minimum over all files.
	Rung Rung `json:"rung"`
	// Class and Detail say what is in the way of a blocked upload.
	Class  Class  `json:"class,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Files and Bytes count all, Waiting and WaitingBytes those that still await their upload.
	Files        int   `json:"files"`
	Bytes        int64 `json:"bytes"`
	Waiting      int   `json:"waiting"`
	WaitingBytes int64 `json:"waiting_bytes"`
	// Waited is for how long the oldest of them has been waiting, awake.
	Waited time.Duration `json:"-"`
	// Late: that is longer than the slow limit, whatever the verdict.
	Late bool `json:"late"`
	// Flapping: a file that waits was called uploaded more than once, and then was not.
	Flapping bool `json:"flapping,omitempty"`
	// RuledOut says of a stuck upload what is not the reason.
	RuledOut []string `json:"ruled_out,omitempty"`
}

// Judge judges a set of files at now on the odometer. top is the source's highest rung.
func Judge(tracks []*Track, h Health, top Rung, now, slowAfter time.Duration) Judgement {
	j := Judgement{Verdict: Progressing, Rung: CloudVerified, Files: len(tracks)}
	// No waiting file has an answer; each is answered to be none of OneDrive's.
	silent, plain := true, true
	var moved time.Duration
	for _, t := range tracks {
		j.Rung = min(j.Rung, t.Rung())
		j.Bytes += t.SizeBytes
		moved = max(moved, t.Moved)
		if !t.Waits() {
			continue
		}
		j.Waiting++
		j.WaitingBytes += t.SizeBytes
		j.Waited = max(j.Waited, now-t.Published)
		j.Flapping = j.Flapping || t.Falls > 1
		class, detail := t.Blocked()
		silent = silent && t.Last == Unknown && class == ""
		plain = plain && t.Last == LocalOnly && class == ""
		if class != "" && j.Class == "" {
			j.Class, j.Detail = class, detail
		}
	}
	if len(tracks) == 0 {
		j.Rung, j.Verdict = Unknown, Unknowable
		return j
	}
	j.Late = top >= ClientUploaded && j.Waiting > 0 && j.Waited > slowAfter && !plain
	if c := h.blocks(); c != "" && top >= ClientUploaded {
		j.Class, j.Detail = c, ""
	}
	switch {
	case j.Waiting == 0:
		j.Verdict, j.Class, j.Detail = Done, "", ""
	case plain:
		// Whatever OneDrive does, it does not do it here.
		j.Verdict, j.Class, j.Detail = Unknowable, "", ""
	case j.Class != "":
		j.Verdict = Blocked
	case top < ClientUploaded, silent:
		j.Verdict = Unknowable
	case now-moved >= StuckAfter:
		j.Verdict, j.RuledOut = Stuck, h.ruledOut()
	case j.Late:
		j.Verdict = Slow
	}
	return j
}

// Plain reports whether nobody can be asked about the files that wait.
func (j *Judgement) Plain() bool { return j.Verdict == Unknowable && j.Rung == LocalOnly }

// blocks returns what is known to be in the way of every upload.
func (h Health) blocks() Class {
	switch {
	case h.Running == No:
		return NotRunning
	case h.SignedIn == No:
		return SignedOut
	case h.QuotaLeft == No:
		return Quota
	}
	return ""
}

func (h Health) ruledOut() []string {
	var out []string
	for _, x := range []struct {
		t    Tri
		text string
	}{{h.Running, "OneDrive is running"}, {h.SignedIn, "it is signed in"}, {h.QuotaLeft, "the account has room"}, {h.Reachable, "the service can be reached"}} {
		if x.t == Yes {
			out = append(out, x.text)
		}
	}
	return out
}
