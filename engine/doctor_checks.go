package engine

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/mod/semver"
	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// state is the state directory: readable, and by nobody else.
func (x *examination) state() []Check {
	dir := x.e.state
	fi, err := os.Stat(dir.Path)
	switch {
	case os.IsNotExist(err):
		return []Check{ok(CheckStateDir, "no state yet; the first backup makes "+dir.Path)}
	case err != nil:
		return []Check{finding(CheckStateDir, CheckFailed, explain("look at the state", "", err))}
	case x.statusErr != nil:
		return []Check{finding(CheckStateDir, CheckFailed, x.statusErr)}
	case fi.Mode().Perm()&0o077 != 0:
		return []Check{{Name: CheckStateDir, State: CheckAttention, Text: fmt.Sprintf("others may look into %s (mode %04o)", dir.Path, fi.Mode().Perm()),
			Remedy: "run `maia-dr doctor --fix`, or chmod 700 it", repair: func() error { return x.e.fs.Chmod(dir.Path, 0o700) }}}
	}
	return []Check{ok(CheckStateDir, dir.Path)}
}

func (x *examination) root() []Check {
	if x.rootErr == nil {
		return []Check{ok(CheckRoot, x.maia)}
	}
	return x.leftToProblems(CheckRoot)
}

func (x *examination) oneDrive() []Check {
	if x.folderErr == nil {
		text := x.folder.Path + ", " + x.folder.Why
		if x.status != nil && x.status.OneDrive.Sync != nil {
			text += "; asked about uploads: " + x.status.OneDrive.Sync.Source
		}
		return []Check{ok(CheckOneDrive, text)}
	}
	return x.leftToProblems(CheckOneDrive)
}

// leftToProblems is the answer of a check whose trouble is among the problems of the status already.
func (x *examination) leftToProblems(name string) []Check {
	if x.status != nil && x.has(name) {
		return nil
	}
	return unknown(name, "the state cannot be read")
}

// access tries to read and write where a backup has to.
func (x *examination) access() []Check {
	var out []Check
	tried := 0
	try := func(path string, mode uint32) {
		tried++
		_, err := os.ReadDir(path)
		if err == nil {
			err = unix.Access(path, mode)
			if err != nil {
				err = &fs.PathError{Op: "access", Path: path, Err: err}
			}
		}
		if err != nil && !os.IsNotExist(err) {
			out = append(out, finding(CheckAccess, CheckFailed, explain("use", "", err)))
		}
	}
	if x.rootErr == nil {
		try(x.maia, unix.R_OK|unix.X_OK)
	}
	if x.folderErr == nil {
		try(x.folder.Path, unix.R_OK|unix.W_OK|unix.X_OK)
	}
	if tried < 2 {
		return append(out, unknown(CheckAccess, "nothing can be tried before root and folder are known")...)
	}
	try(filepath.Join(x.e.env.Home, "Library", "LaunchAgents"), unix.R_OK|unix.X_OK)
	if probe := x.e.state.LoadProbe(); probe != nil {
		out = append(out, refused(probe)...)
	}
	if len(out) > 0 {
		return out
	}
	return []Check{ok(CheckAccess, "everything can be read, and OneDrive's folder written")}
}

// refused is what the system refused to a program that it had started as it starts the schedule's: what one program may
// see, another need not.
func refused(p *state.Probe) []Check {
	var out []Check
	for _, r := range p.Results {
		c := Check{Name: CheckAccess, State: CheckFailed, Text: fmt.Sprintf("the schedule's runs may not look into %s (asked %s)", r.Path, p.At.Local().Format("2 January 15:04"))}
		switch r.State {
		case state.AccessPrivacy:
			c.Remedy = "allow it in System Settings, Privacy & Security, Files and Folders (or Full Disk Access), and run `maia-dr setup` again"
		case state.AccessDenied:
			c.Remedy = "make it readable for you, and run `maia-dr setup` again"
		default:
			continue
		}
		out = append(out, c)
	}
	return out
}

// leastSpace is what a backup needs beside what it stores: a chunk being written, its compressed twin, snapshots.
const leastSpace = 1 << 30

// space compares what is free with what a drill, the hungriest of all, has to put there.
func (x *examination) space() []Check {
	var out []Check
	try := func(what, path string, need int64) {
		free, err := fsx.FreeBytes(existingParent(path))
		switch {
		case err != nil:
			out = append(out, finding(CheckSpace, CheckAttention, explain("look for free space", "", err)))
		case free < need:
			out = append(out, Check{Name: CheckSpace, State: CheckAttention, Remedy: "free some space",
				Text: fmt.Sprintf("%s are free %s, and %s may be needed", humanize.Bytes(uint64(free)), what, humanize.Bytes(uint64(need)))})
		default:
			out = append(out, ok(CheckSpace, humanize.Bytes(uint64(free))+" free "+what))
		}
	}
	need := int64(leastSpace)
	if x.newest != nil {
		need += x.newest.Stats.SourceBytes
	}
	try("for the state directory, where drills restore to", x.e.state.Path, need)
	if x.folderErr == nil {
		try("for OneDrive's folder", x.folder.Path, leastSpace)
	}
	return out
}

func (x *examination) repository() []Check {
	if x.status == nil || x.has(CheckRepository) {
		return nil
	}
	if x.status.Backups == 0 {
		return unknown(CheckRepository, "nothing is stored yet")
	}
	return []Check{ok(CheckRepository, fmt.Sprintf("backups: %d, together %s; nothing is missing, nothing is foreign", x.status.Backups, humanize.Bytes(uint64(x.status.TotalBytes))))}
}

// tools asks git, where there is a history it should answer for, and says what else the newest backup could ask.
func (x *examination) tools() []Check {
	if x.rootErr != nil {
		return unknown(CheckTools, "which are needed depends on the Maia root")
	}
	run := x.e.opt.Run
	if run == nil {
		run = component.NewRunner(x.e.env.Home, x.e.env.Getenv)
	}
	git := component.CaptureGit(x.ctx, x.maia, run, runtime.GOOS)
	switch {
	case git.Present && git.Problem != "":
		return []Check{{Name: CheckTools, State: CheckAttention, Text: "unpushed commits are in no backup: " + git.Problem,
			Remedy: "install git (on a Mac: xcode-select --install)"}}
	case git.Present:
		return []Check{ok(CheckTools, "git answers")}
	}
	return []Check{ok(CheckTools, "none is missing")}
}

func (x *examination) lastBackup() []Check {
	switch {
	case x.status == nil:
		return unknown(CheckLastBackup, "the state cannot be read")
	case x.has(CheckLastBackup) || x.newest == nil:
		return nil
	}
	return []Check{ok(CheckLastBackup, fmt.Sprintf("%s, %s", x.newest.BackupID, humanize.RelTime(x.newest.CreatedAt, x.e.now(), "ago", "from now")))}
}

// upload is what is known of the upload of every backup, by the ladder's words.
func (x *examination) upload() []Check {
	switch {
	case x.status == nil || x.newest == nil:
		return unknown(CheckUpload, "there is nothing to upload yet")
	case x.has(CheckUpload):
		return nil
	}
	s := x.status.OneDrive.Sync
	switch {
	case s == nil:
		return unknown(CheckUpload, "this machine does not watch the upload of these backups")
	case !s.CanAnswer:
		return unknown(CheckUpload, "whether OneDrive has uploaded the backups cannot be told from this folder ("+x.status.OneDrive.State+")")
	case s.Backup(x.newest.BackupID).Verdict == onedrive.Unknowable:
		return unknown(CheckUpload, "nothing is known of the upload of "+x.newest.BackupID)
	case s.All.Verdict == onedrive.Done:
		return []Check{ok(CheckUpload, fmt.Sprintf("%s uploaded (%s)", counted(s.All.Files, "file, which is", "files, all"), s.All.Rung))}
	}
	return unknown(CheckUpload, waitingText(&s.All)+", which goes on")
}

func (x *examination) drill() []Check {
	switch {
	case x.status == nil || x.newest == nil:
		return unknown(CheckDrill, "there is no backup to rehearse")
	case x.status.Restore.Proven:
		d := x.status.Restore.LastFull
		return []Check{ok(CheckDrill, fmt.Sprintf("a restore is proven: the full drill of %s took %.0f s", d.BackupID, d.RestoreSeconds))}
	case x.has(CheckDrill):
		return nil
	}
	return []Check{{Name: CheckDrill, State: CheckAttention, Text: "a restore is not proven: " + UnprovenText(x.status.Restore.Why),
		Remedy: "run `maia-dr drill`"}}
}

// sheet is the printed page for the day of the disaster. That it is out of date is among the problems of the status.
func (x *examination) sheet() []Check {
	k, err := x.e.state.Keepsakes()
	switch {
	case err != nil:
		return []Check{finding(CheckSheet, CheckAttention, explain("look for the recovery sheet", "", err))}
	case k.Sheet == nil && (x.newest == nil || x.newest.PasswordNumber == 0):
		return []Check{ok(CheckSheet, "none is needed before there is a vault")}
	case k.Sheet == nil:
		return []Check{{Name: CheckSheet, State: CheckAttention, Text: "there is a vault, and no recovery sheet was ever made",
			Remedy: "make it with `maia-dr password sheet`, print it, write the password on it"}}
	case x.status == nil || x.has(CheckSheet):
		return nil
	}
	return []Check{ok(CheckSheet, "made on "+k.Sheet.At.Local().Format("2 January 2006")+", and still true")}
}

func (x *examination) index() []Check {
	id, err := x.e.state.PeekIdentity()
	if err != nil || id == nil || id.RepositoryID == "" {
		return []Check{ok(CheckIndex, "none yet")}
	}
	if _, err := repository.LoadIndex(x.e.state.BlockIndex(), id.RepositoryID); err != nil {
		return []Check{{Name: CheckIndex, State: CheckAttention, Text: err.Error(),
			Remedy: "nothing: the next backup makes it again from the mirror, and takes longer for it"}}
	}
	return []Check{ok(CheckIndex, "whole")}
}

// Limit of the repository's size, and how long before it is reached there should be a word.
const (
	footprintLimit = 5_000_000_000
	forecastSoon   = 60 * 24 * time.Hour
	paceDays       = 30
)

// footprint forecasts the day on which the repository reaches its limit, from what was stored in the last days. What
// prune will free by then is not known, so it is the earliest day there can be.
func (x *examination) footprint() []Check {
	if x.status == nil || x.newest == nil {
		return unknown(CheckFootprint, "there is no backup yet")
	}
	total := x.status.TotalBytes
	text := fmt.Sprintf("%s of %s", humanize.Bytes(uint64(total)), humanize.Bytes(footprintLimit))
	if total >= footprintLimit {
		return []Check{{Name: CheckFootprint, State: CheckAttention, Text: text + " are used",
			Remedy: "keep fewer backups ([retention] in the configuration), or exclude what need not be kept"}}
	}
	history, err := x.e.state.History()
	if err != nil {
		return []Check{finding(CheckFootprint, CheckAttention, explain("read the history", "", err))}
	}
	days, perDay := pace(history, x.e.now())
	if days < 7 || perDay <= 0 {
		return []Check{ok(CheckFootprint, text+"; too few days have passed for a forecast")}
	}
	left := time.Duration(float64(footprintLimit-total) / perDay * 24 * float64(time.Hour))
	text += fmt.Sprintf("; at %s a day", humanize.Bytes(uint64(perDay)))
	if left > 10*365*24*time.Hour {
		return []Check{ok(CheckFootprint, text+" it lasts for ten years and more")}
	}
	text += " it is used up on " + x.e.now().Add(left).Local().Format("2 January 2006") + " at the earliest"
	if left > forecastSoon {
		return []Check{ok(CheckFootprint, text)}
	}
	return []Check{{Name: CheckFootprint, State: CheckAttention, Text: text,
		Remedy: "see what grows with `maia-dr show`; keep fewer backups, or exclude what need not be kept"}}
}

// pace returns the bytes stored on a day, of the last paceDays, and on how many days something was. The first backup
// of all does not count: it stores everything.
func pace(history []state.HistoryEntry, now time.Time) (days int, perDay float64) {
	var sum int64
	seen := map[string]bool{}
	first := true
	for _, h := range history {
		if h.Kind != "backup" || h.BackupID == "" {
			continue
		}
		if first {
			first = false
			continue
		}
		if now.Sub(h.Time) > paceDays*24*time.Hour {
			continue
		}
		sum += h.StoredBytes
		seen[h.Time.UTC().Format(time.DateOnly)] = true
	}
	if len(seen) == 0 {
		return 0, 0
	}
	return len(seen), float64(sum) / float64(len(seen))
}

// clock compares the clock with the newest backup: it cannot be of tomorrow.
func (x *examination) clock() []Check {
	now := x.e.now()
	if x.newest != nil && x.newest.CreatedAt.Sub(now) > 5*time.Minute {
		return []Check{{Name: CheckClock, State: CheckAttention, Text: fmt.Sprintf("it is %s here, and the newest backup is of %s",
			now.Local().Format("2 Jan 2006 15:04"), x.newest.CreatedAt.Local().Format("2 Jan 2006 15:04")),
			Remedy: "set the clock (System Settings, General, Date & Time)"}}
	}
	return []Check{ok(CheckClock, now.Local().Format("2 Jan 2006 15:04 MST"))}
}

// version says whether the newest backup is of a newer program than this.
func (x *examination) version() []Check {
	mine := x.e.opt.Version
	if x.newest != nil && semver.Compare("v"+x.newest.ProgramVersion, "v"+mine) > 0 {
		return []Check{{Name: CheckVersion, State: CheckAttention, Text: fmt.Sprintf("this is %s, and the newest backup was made by %s", mine, x.newest.ProgramVersion),
			Remedy: "install the newest maia-dr"}}
	}
	return []Check{ok(CheckVersion, mine)}
}
