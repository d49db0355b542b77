package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// Overdue is the age of the newest complete backup from which on one is overdue.
const Overdue = 26 * time.Hour

// Status is the three answers: is my work safe, is it in the cloud, would a restore work. Unknown is never shown as
// success.
type Status struct {
	Version int `json:"version"`
	// Overall is fine or attention; Light is green, neutral or attention.
	Overall  string         `json:"overall"`
	Light    string         `json:"light"`
	Activity state.Activity `json:"activity"`
	Run      *state.Run     `json:"run,omitempty"`

	LastBackup *state.BackupResult `json:"last_backup,omitempty"`
	// LastFailure is the newest attempt that failed after it.
	LastFailure *state.Failure `json:"last_failure,omitempty"`
	Newest      *BackupInfo    `json:"newest,omitempty"`
	Overdue     bool           `json:"overdue"`

	OneDrive OneDriveStatus      `json:"onedrive"`
	Restore  RestoreStatus       `json:"restore"`
	Verify   *state.VerifyResult `json:"last_verify,omitempty"`

	Backups    int             `json:"backups"`
	TotalBytes int64           `json:"total_bytes"`
	Problems   []state.Problem `json:"problems"`
	StateDir   string          `json:"state_dir"`
	LogFile    string          `json:"log_file"`
	MaiaRoot   string          `json:"maia_root,omitempty"`
}

// OneDriveStatus says where the repository is and what is known of its upload.
type OneDriveStatus struct {
	// State is a rung of the sync ladder: a plain folder can only say local_only.
	State string `json:"state"`
	Path  string `json:"path,omitempty"`
	Why   string `json:"why,omitempty"`
	// Sync is what is known of the upload; nil: this machine does not watch it.
	Sync *SyncStatus `json:"sync,omitempty"`
}

// RestoreStatus says whether a restore is proven: only a full drill proves it.
type RestoreStatus struct {
	Proven bool `json:"proven"`
	// Why says why it is not: never, failed, light_only, vault_not_opened or older_than_8_days.
	Why          string       `json:"why,omitempty"`
	LastFull     *state.Drill `json:"last_full,omitempty"`
	LastLight    *state.Drill `json:"last_light,omitempty"`
	DrillsRun    int          `json:"drills_run"`
	DrillsPassed int          `json:"drills_passed"`
	Estimate     Estimate     `json:"estimate"`
}

// Values of Status.Overall.
const (
	OverallFine      = "fine"
	OverallAttention = "attention"
)

// Status looks at state and repository, and once at what awaits upload. An error means that the state cannot be read; whatever else is wrong is a
// problem in the status.
func (e *Engine) Status() (*Status, error) {
	st, activity, err := e.state.ReadStatus()
	if err != nil {
		return nil, &Error{Op: "read the status", Path: e.state.Path, Code: CodeState, Err: err}
	}
	s := &Status{
		Version: 1, Activity: activity, Run: st.Run, LastBackup: st.LastBackup, LastFailure: st.LastFailure, Verify: st.LastVerify,
		OneDrive: OneDriveStatus{State: "unknown"}, Problems: []state.Problem{}, StateDir: e.state.Path, LogFile: e.state.LogFile(),
	}
	if root, err := e.findRoot(); err != nil {
		s.problem(err)
	} else {
		s.MaiaRoot = root
	}
	e.statusRepository(s)
	s.Restore = e.restoreStatus(&st.Drills, e.newestManifest(s))
	s.Problems = append(s.Problems, drillProblems(&st.Drills)...)
	if activity == state.Interrupted {
		hint := "run it again: `maia-dr " + st.Run.Kind + "`"
		if st.Run.Kind == "backup" {
			hint = "run `maia-dr backup`: it takes up what is missing"
		}
		s.Problems = append(s.Problems, state.Problem{Code: "interrupted",
			Text: fmt.Sprintf("the %s begun %s never reached its end", st.Run.Kind, st.Run.StartedAt.Local().Format("2 Jan 15:04")), Hint: hint})
	}
	if f := st.LastFailure; f != nil && f.Code != string(CodeCancelled) {
		s.Problems = append(s.Problems, state.Problem{Code: f.Code, Text: "the last backup failed: " + f.Error, Hint: f.Hint})
	}
	s.Problems = append(s.Problems, st.Problems...)
	s.Problems = append(s.Problems, e.reminders(st.LastBackup != nil && st.LastBackup.Vault)...)
	if v := st.LastVerify; v != nil && len(v.Bad) > 0 {
		s.Problems = append(s.Problems, state.Problem{Code: string(CodeDamaged),
			Text: "the last verification found " + firstOf(v.Bad),
			Hint: "run `maia-dr verify --all` to see them; the next backup stores damaged parts again"})
	}
	s.Overall = OverallFine
	if len(s.Problems) > 0 {
		s.Overall = OverallAttention
	}
	s.Light = s.light()
	return s, nil
}

// newestManifest returns the manifest of the newest complete backup; nil: there is none that can be read.
func (e *Engine) newestManifest(s *Status) *repository.Manifest {
	if s.Newest == nil {
		return nil
	}
	v, err := e.view()
	if err != nil {
		return nil
	}
	m, _, err := v.manifest(s.Newest.BackupID)
	if err != nil {
		return nil
	}
	return m
}

func (s *Status) problem(err error) {
	p := state.Problem{Code: string(CodeOf(err)), Text: err.Error()}
	if known, ok := errors.AsType[*Error](err); ok {
		p.Hint = known.Advice()
	}
	s.Problems = append(s.Problems, p)
}

// statusRepository fills in what the repository says.
func (e *Engine) statusRepository(s *Status) {
	folder, err := e.findOneDrive()
	if err != nil {
		s.problem(err)
		return
	}
	s.OneDrive.Path, s.OneDrive.Why = folder.Path, folder.Why
	gone := e.repositoryMissing(folder)
	if gone != nil {
		s.problem(gone)
	}
	l, err := e.List()
	if gone != nil && err != nil {
		return
	}
	if errors.Is(err, repository.ErrNotRepository) {
		s.Problems = append(s.Problems, state.Problem{Code: string(CodeNoBackup), Text: "there is no backup yet", Hint: hints[CodeNoBackup]})
		return
	}
	if err != nil {
		s.problem(err)
		return
	}
	s.OneDrive.State = "local_only"
	if err := e.checkWriter(folder); err != nil {
		s.problem(err)
	}
	s.Backups, s.TotalBytes = len(l.Backups), l.TotalBytes
	for i := range l.Backups {
		b := &l.Backups[i]
		switch b.State {
		case StateComplete:
			if s.Newest == nil {
				s.Newest = b
			}
		case StateLocalOnly:
			s.Problems = append(s.Problems, state.Problem{Code: "not_published", Text: b.BackupID + " is on this machine but not in OneDrive",
				Hint: "run `maia-dr backup`: it brings in what is missing"})
		default:
			s.Problems = append(s.Problems, state.Problem{Code: string(CodeIncomplete), Text: fmt.Sprintf("%s is %s: %s", b.BackupID, b.State, whatIsWrong(b)),
				Hint: hints[CodeIncomplete]})
		}
	}
	for _, f := range l.Foreign {
		s.Problems = append(s.Problems, state.Problem{Code: "foreign_file", Text: fmt.Sprintf("%q in the repository does not belong there; it is kept", f),
			Hint: "if it is a conflict copy or yours, move it elsewhere"})
	}
	e.statusNewest(s)
	if s.Backups > 0 {
		e.statusSync(s)
	}
}

// checkWriter says whether somebody else may write to the repository now.
func (e *Engine) checkWriter(folder onedrive.Folder) error {
	id, err := e.state.PeekIdentity()
	if err != nil || id == nil {
		return err
	}
	s := &session{e: e, folder: folder, target: e.target(folder), id: id}
	(&fetcher{e: e, forbid: true}).attach(&s.target)
	w, err := s.writerFile()
	if err != nil || w == nil || s.owns(w) {
		return err
	}
	return s.foreignWriter(w)
}

func whatIsWrong(b *BackupInfo) string {
	if b.Error != "" {
		return b.Error
	}
	return fmt.Sprintf("it lacks %d of its files", len(b.Lacks))
}

func (e *Engine) statusNewest(s *Status) {
	if s.Newest == nil {
		s.Problems = append(s.Problems, state.Problem{Code: string(CodeNoBackup), Text: "there is no complete backup", Hint: hints[CodeNoBackup]})
		return
	}
	if age := e.now().Sub(s.Newest.CreatedAt); age > Overdue {
		s.Overdue = true
		s.Problems = append(s.Problems, state.Problem{Code: "overdue",
			Text: "the newest complete backup is " + AgeText(age) + " old", Hint: "run `maia-dr backup`"})
	}
	if s.LastBackup != nil && s.LastBackup.BackupID == s.Newest.BackupID {
		s.warnings(s.LastBackup.Warnings)
	} else if s.Newest.Warnings > 0 {
		s.Problems = append(s.Problems, state.Problem{Code: "warnings",
			Text: "the newest backup has " + counted(s.Newest.Warnings, "warning", "warnings"), Hint: "see them with `maia-dr show`"})
	}
}

// warnings turns the newest backup's warnings into problems, one for each kind.
func (s *Status) warnings(list []repository.Warning) {
	at := map[string]int{}
	more := map[int]int{}
	for _, w := range list {
		key := w.Code + "\x00" + w.Hint
		if i, ok := at[key]; ok {
			more[i]++
			continue
		}
		at[key] = len(s.Problems)
		text := w.Text
		if w.Path != "" {
			text = string(w.Path) + ": " + text
		}
		s.Problems = append(s.Problems, state.Problem{Code: w.Code, Text: text, Hint: w.Hint})
	}
	for i, n := range more {
		s.Problems[i].Text += fmt.Sprintf(" (and %d more like it, see `maia-dr show`)", n)
	}
}

// OriginalRoot returns where the Maia root of a backup was. own says that it is this machine's: anybody who can write to the
// OneDrive folder can make a backup that names another one.
func (e *Engine) OriginalRoot(name string) (root string, own bool, err error) {
	v, err := e.view()
	if err != nil {
		return "", false, err
	}
	m, _, _, err := v.resolve(name)
	if err != nil {
		return "", false, err
	}
	root = string(m.MaiaRoot)
	here, err := e.findRoot()
	return root, err == nil && filepath.IsAbs(root) && realPath(here) == realPath(root), nil
}

// MatchFiles returns the files whose path, or a folder above it, matches a glob; "*" and "" mean all.
func MatchFiles(files []repository.File, glob string) []repository.File {
	if glob == "" || glob == "*" {
		return files
	}
	var out []repository.File
	for _, f := range files {
		if matchesAny([]string{glob}, string(f.Path)) {
			out = append(out, f)
		}
	}
	return out
}
