package menu

import (
	"fmt"
	"strings"
	"time"
)

// blockedBy says what is in the way of an upload, by class.
var blockedBy = map[string]string{
	"signed_out":    "you are signed out of OneDrive",
	"quota":         "your OneDrive storage is full",
	"refused_name":  "it does not accept the name of a file",
	"excluded":      "its settings leave the backups out",
	"no_permission": "it has no permission to read the backups",
	"folder_gone":   "its folder is missing on this computer",
	"not_running":   "the OneDrive app is not running",
	"differs":       "a file in the cloud is not the same as the one here",
}

// oneDrive is the second answer; one that is older than the row looks says so.
func (b *builder) oneDrive() string {
	text := b.upload()
	if b.s.Loaded && b.s.late(b.now) {
		text += "; no answer since " + clock(b.now, b.s.AskedAt)
	}
	return text
}

func (b *builder) upload() string {
	o := &b.s.Status.OneDrive
	switch {
	case !b.s.Loaded:
		return "looking…"
	case b.unknown():
		return "not known"
	case o.Path == "":
		return "no folder found"
	case b.s.Status.Backups == 0 && b.s.Status.LastBackup != nil:
		return "the backups cannot be found or read there"
	case b.s.Status.Backups == 0:
		return "nothing stored there yet"
	}
	switch o.Verdict {
	case "blocked":
		return "not uploading, " + o.why() + b.waiting()
	case "stuck", "slow":
		return o.Verdict + b.waiting()
	}
	switch {
	case o.State == "client_uploaded" && o.uploaded():
		return "reports " + b.all() + " uploaded" + b.since()
	case o.State == "cloud_verified" && o.uploaded():
		return b.all() + " verified in the cloud" + b.since()
	}
	switch o.State {
	case "client_uploaded", "cloud_verified":
		if o.Waiting > 0 {
			return "the newest backup is uploaded, older ones are not yet" + b.waiting()
		}
	case "local_only":
		return "saved in its folder; whether it is uploaded cannot be told here"
	case "pending":
		return "waiting for upload" + strings.Replace(b.waiting(), ", waiting since", ", since", 1)
	case "uploading":
		return "uploading" + strings.Replace(b.waiting(), ", waiting since", ", since", 1)
	}
	return "not known whether the backup is uploaded"
}

// why says what holds the upload up, as far as that is known.
func (o *Sync) why() string {
	switch {
	case o.Verdict == "slow":
		return "it takes longer than it should"
	case o.Verdict == "stuck":
		return "it has made no progress for an hour"
	case blockedBy[o.Class] != "":
		return blockedBy[o.Class]
	}
	return "the reason is not known"
}

// lookAtOneDrive shows what is known of the upload.
func (s *State) lookAtOneDrive() Action {
	if s.Can.OneDrive {
		return Action{InTerminal, "onedrive status"}
	}
	return details
}

// waiting says how many files are uploaded and since when the others wait.
func (b *builder) waiting() string {
	o := &b.s.Status.OneDrive
	text := ""
	if o.Files > 0 {
		text = fmt.Sprintf(", %d of %s uploaded", max(o.Files-o.Waiting, 0), plural(o.Files, "backup file", "backup files"))
	}
	if !o.Since.IsZero() {
		text += ", waiting since " + clock(b.now, o.Since)
	}
	return text
}

func (b *builder) all() string {
	if n := b.s.Status.OneDrive.Files; n > 0 {
		return "all " + plural(n, "backup file", "backup files")
	}
	return "all backup files"
}

func (b *builder) since() string {
	if t := b.s.Status.OneDrive.Since; !t.IsZero() {
		return ", " + ago(b.now, t)
	}
	return ""
}

// held reports whether something must be done, or looked into, before the upload goes on.
func (o *Sync) held() bool {
	return o.Verdict == "blocked" || o.Verdict == "stuck" || o.Verdict == "slow"
}

// uploaded reports whether OneDrive or the cloud itself says that every file is there.
func (o *Sync) uploaded() bool {
	return (o.State == "client_uploaded" || o.State == "cloud_verified") && (o.Verdict == "done" || o.Verdict == "") && o.Waiting == 0
}

// icon returns the shape that stands for all of it: what is being done, else the worst that is known.
func (b *builder) icon() Icon {
	s := b.s
	if b.running() {
		return Running(b.done())
	}
	if !s.Loaded {
		return Neutral
	}
	muted, urgent, open := b.sorted()
	switch {
	case s.failure() != nil && !muted[FailureKey] && !s.Newer && s.Failure == "":
		return Failed
	case urgent:
		return Attention
	case s.Status.Newest == nil && s.Status.LastBackup == nil:
		return SetUp
	case b.overdue() && !muted["overdue"]:
		return Overdue
	case open:
		return Attention
	case b.paused():
		return Paused
	case s.Status.OneDrive.State == "pending", s.Status.OneDrive.State == "uploading", s.Status.OneDrive.Waiting > 0:
		return Uploading
	case b.green():
		return Proven
	}
	return Neutral
}

// sorted says which problems are muted and whether others are open or urgent.
func (b *builder) sorted() (muted map[string]bool, urgent, open bool) {
	muted = map[string]bool{}
	for _, p := range b.problems {
		switch {
		case !p.muted.IsZero():
			muted[p.key] = true
		default:
			open, urgent = true, urgent || p.urgent
		}
	}
	return muted, urgent, open
}

// green reports whether everything is proven. It is stricter than it might be: a muted problem is a problem, and files
// that OneDrive has not taken in yet are shown as such.
func (b *builder) green() bool {
	st := &b.s.Status
	return !b.unknown() && len(b.problems) == 0 && st.Activity == "idle" && st.Newest != nil && !b.overdue() &&
		st.Newest.CreatedAt.Sub(b.now) < time.Minute && st.OneDrive.uploaded() && b.proven()
}
