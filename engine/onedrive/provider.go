package onedrive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Provider is a source of evidence. Its calls may take long and are ended by ctx. Not safe for concurrent use.
type Provider interface {
	// Name says for people what is asked.
	Name() string
	// Highest is the highest rung that the source can know of a file.
	Highest() Rung
	// Observe asks about files by their absolute paths, and returns an answer for each, in their order. An error means
	// that nothing was found out about any.
	Observe(ctx context.Context, paths []string) ([]Answer, error)
	// Health asks about OneDrive itself.
	Health(ctx context.Context) Health
}

// Answer is what a source says of one file.
type Answer struct {
	Rung Rung
	// Class says why the file is not uploaded and will not be until somebody does something; empty: nothing is in its way.
	Class Class
	// Detail is the source's own reason, for people.
	Detail string
}

// Class is what is in the way of an upload.
type Class string

// The classes. Each has its remedy in Remedy.
const (
	SignedOut    Class = "signed_out"
	Quota        Class = "quota"
	RefusedName  Class = "refused_name"
	Excluded     Class = "excluded"
	NoPermission Class = "no_permission"
	FolderGone   Class = "folder_gone"
	NotRunning   Class = "not_running"
	Differs      Class = "differs"
)

var classes = map[Class]struct{ text, remedy string }{
	SignedOut:    {"OneDrive is signed out", "sign in to OneDrive: click its cloud in the menu bar"},
	Quota:        {"the OneDrive account is full", "free some space in OneDrive or get more; `maia-dr prune --dry-run` shows what the backups keep"},
	RefusedName:  {"OneDrive refuses a file's name", "look in OneDrive's own window for the file it complains of, and report it: this program's names are meant to be allowed"},
	Excluded:     {"OneDrive leaves the file out", "look in OneDrive's settings for excluded file types and folders, and take gz, enc and json out of them"},
	NoPermission: {"OneDrive may not read or write the file", "look in OneDrive's own window, and in System Settings, Privacy & Security, Files and Folders"},
	FolderGone:   {"the OneDrive folder is gone", "start OneDrive and sign in; a folder made in its place would not be synced"},
	Differs:      {"the cloud has a file of this name with other bytes", "run `maia-dr verify --all`; if it says whole, look at the file in OneDrive on the web, and restore an earlier version of it there"},
	NotRunning:   {"OneDrive is not running", "start OneDrive, and let it start at login"},
}

// Text says for people what a class means.
func (c Class) Text() string { return classes[c].text }

// Remedy says what to do about it.
func (c Class) Remedy() string { return classes[c].remedy }

// Classes returns every class there is.
func Classes() []Class {
	return []Class{SignedOut, Quota, RefusedName, Excluded, NoPermission, FolderGone, NotRunning, Differs}
}

// Tri is an answer that may be missing. Its zero value is that.
type Tri string

// The answers.
const (
	TriUnknown Tri = ""
	Yes        Tri = "yes"
	No         Tri = "no"
)

// MarshalText writes an answer that is missing as a word too.
func (t Tri) MarshalText() ([]byte, error) {
	if t == TriUnknown {
		return []byte("unknown"), nil
	}
	return []byte(t), nil
}

// UnmarshalText reads what MarshalText writes.
func (t *Tri) UnmarshalText(b []byte) error {
	switch v := Tri(b); v {
	case Yes, No:
		*t = v
	case TriUnknown, "unknown":
		*t = TriUnknown
	default:
		return fmt.Errorf("read answer: there is no %.40q", b)
	}
	return nil
}

// Health is what is known of OneDrive itself.
type Health struct {
	// Running: its main process runs. SignedIn: somebody is signed in to the folder's account. QuotaLeft: there is room
	// for more. Reachable: the service answers.
	Running   Tri `json:"running"`
	SignedIn  Tri `json:"signed_in"`
	QuotaLeft Tri `json:"quota_left"`
	Reachable Tri `json:"reachable"`
}

// Fingerprint tells one state of a file from every other.
type Fingerprint struct {
	SizeBytes int64  `json:"size_bytes"`
	MTimeNS   int64  `json:"mtime_ns"`
	Inode     uint64 `json:"inode"`
}

// Observation is what was seen of one file at one moment: what lay there, and what the source said of it.
type Observation struct {
	Answer
	// Top is the source's highest rung: above it, the observation says nothing.
	Top Rung
	// Missing: the file is not there.
	Missing bool
	Print   Fingerprint
}

// Look observes files by their absolute paths. A file that changed while the source was asked, an answer that is
// missing, an upload that is claimed although OneDrive does not run: none of that is evidence, and its rung is Unknown.
// That nothing at all could be found out is in the observations too; an error is that of ctx.
func Look(ctx context.Context, p Provider, folder string, paths []string) ([]Observation, Health, error) {
	out := make([]Observation, len(paths))
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		for i := range out {
			out[i] = Observation{Missing: true, Top: p.Highest(), Answer: Answer{Class: FolderGone}}
		}
		return out, p.Health(ctx), ctx.Err()
	}
	before := make([]os.FileInfo, len(paths))
	var ask []string
	for i, path := range paths {
		if before[i] = regular(path); before[i] != nil {
			ask = append(ask, path)
		}
	}
	var answers []Answer
	var err error
	if len(ask) > 0 {
		answers, err = p.Observe(ctx, ask)
	}
	// Only now: what is in the way of files tells of OneDrive too.
	health := p.Health(ctx)
	if ctx.Err() != nil {
		return nil, health, ctx.Err()
	}
	detail := ""
	if err != nil {
		answers, detail = nil, err.Error()
	}
	for i, path := range paths {
		o := Observation{Top: p.Highest(), Missing: before[i] == nil}
		if before[i] != nil {
			o.Print = fingerprint(before[i])
			o.Detail = detail
			if len(answers) > 0 {
				o.Answer, answers = answers[0], answers[1:]
			}
			if after := regular(path); after == nil || fingerprint(after) != o.Print {
				o.Answer = Answer{Detail: "it changed while it was looked at"}
			}
			o.clamp(health)
		}
		out[i] = o
	}
	return out, health, nil
}

// clamp takes away what the source cannot know.
func (o *Observation) clamp(h Health) {
	o.Rung = min(max(o.Rung, Unknown), o.Top)
	switch {
	case o.Class != "":
		o.Rung = min(o.Rung, Pending)
	case o.Rung == ClientUploaded && h.Running != Yes:
		// The word of a program that may not even run.
		o.Answer = Answer{Detail: "called uploaded, but OneDrive was not seen running"}
	}
}

// regular returns what lies at path, nil if that is no regular file.
func regular(path string) os.FileInfo {
	fi, err := os.Lstat(filepath.Clean(path))
	if err != nil || !fi.Mode().IsRegular() {
		return nil
	}
	return fi
}

// Plain is the source of a folder that nobody can be asked about.
type Plain struct{}

// Name implements Provider.
func (Plain) Name() string { return "plain folder" }

// Highest implements Provider.
func (Plain) Highest() Rung { return LocalOnly }

// Observe implements Provider.
func (Plain) Observe(_ context.Context, paths []string) ([]Answer, error) {
	out := make([]Answer, len(paths))
	for i := range out {
		out[i].Rung = LocalOnly
	}
	return out, nil
}

// Health implements Provider: nothing is known.
func (Plain) Health(context.Context) Health { return Health{} }

// CanAnswer reports whether a source can say at all that something is uploaded.
func CanAnswer(p Provider) bool { return p.Highest() >= ClientUploaded }
