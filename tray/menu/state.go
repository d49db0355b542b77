package menu

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// State is all that the menu depends on, besides the time.
type State struct {
	// Loaded says that the status has been looked at; until then nothing is known.
	Loaded bool
	Status Status
	// Failure says why the status cannot be read; empty: it can. ErrNewer is told apart.
	Failure string
	Newer   bool
	// AskedAt is when the look began that is not done yet; zero: none is under way.
	AskedAt time.Time
	// Trouble says what the last click came to, if not to what it should; JobTrouble the same of a run that was started
	// here and of which the status does not tell.
	Trouble, JobTrouble string
	// Recent are the newest complete backups, newest first.
	Recent []Backup
	// Own says that the active run was started from this menu, which can stop it.
	Own bool
	// BytesPerSecond is how fast the phase of the active run goes; 0: not known.
	BytesPerSecond float64
	// PausedUntil is when scheduled backups go on; in the past or zero: they are not paused.
	PausedUntil time.Time
	// Muted are the problems the owner does not want to be told of, by key, and until when.
	Muted    map[string]time.Time
	Schedule Timetable
	Can      Capabilities
	Version  string
}

// Timetable is what runs by itself.
type Timetable struct {
	// Known is false where the schedule cannot be asked: then nothing is said of it.
	Known   bool `json:"known"`
	Daily   bool `json:"daily"`
	AtLogin bool `json:"at_login"`
	// Hour and Minute are when the daily backup begins, in local time.
	Hour   int `json:"hour"`
	Minute int `json:"minute"`
	// Next is when the next one begins, as far as was known when it was asked; zero: not known.
	Next time.Time `json:"next"`
}

// Capabilities say which commands this program has and what the machine offers; a row that needs another is left out.
type Capabilities struct {
	Terminal, Report, Doctor, Schedule, OneDrive bool
}

// Backup is a complete backup to choose from.
type Backup struct {
	BackupID  string    `json:"backup_id"`
	CreatedAt time.Time `json:"created_at"`
	// Path is its folder in OneDrive.
	Path string `json:"path"`
}

// Status is what the menu reads of `maia-dr status --json`. See engine.Status for the meanings.
type Status struct {
	Version     int       `json:"version"`
	Activity    string    `json:"activity"`
	Run         *Run      `json:"run"`
	LastBackup  *Result   `json:"last_backup"`
	LastFailure *Failure  `json:"last_failure"`
	Newest      *Newest   `json:"newest"`
	Overdue     bool      `json:"overdue"`
	OneDrive    Sync      `json:"onedrive"`
	Restore     Proof     `json:"restore"`
	Backups     int       `json:"backups"`
	Problems    []Trouble `json:"problems"`
	StateDir    string    `json:"state_dir"`
	LogFile     string    `json:"log_file"`
	MaiaRoot    string    `json:"maia_root"`
}

// Run is the active run, or the one that never reached its end.
type Run struct {
	Kind       string    `json:"kind"`
	PID        int       `json:"pid"`
	StartedAt  time.Time `json:"started_at"`
	Phase      string    `json:"phase"`
	DoneBytes  int64     `json:"done_bytes"`
	TotalBytes int64     `json:"total_bytes"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Result is the newest complete backup as its run reported it.
type Result struct {
	BackupID    string    `json:"backup_id"`
	FinishedAt  time.Time `json:"finished_at"`
	Seconds     float64   `json:"duration_s"`
	StoredBytes int64     `json:"stored_bytes"`
}

// Failure is the newest attempt that failed after it.
type Failure struct {
	At    time.Time `json:"at"`
	Code  string    `json:"code"`
	Error string    `json:"error"`
	Hint  string    `json:"hint"`
}

// Newest is the newest complete backup in the repository.
type Newest struct {
	BackupID    string    `json:"backup_id"`
	CreatedAt   time.Time `json:"created_at"`
	StoredBytes int64     `json:"stored_bytes"`
}

// Sync is what is known of the upload.
type Sync struct {
	// State is a rung of the ladder: unknown, local_only, pending, uploading, client_uploaded, cloud_verified.
	State string `json:"state"`
	Path  string `json:"path"`
	// Watch is nil where nothing can be asked.
	Watch *Watch `json:"sync"`
	// The others are taken from Watch by Decode. Verdict is done, progressing, slow, stuck, blocked or unknowable; empty:
	// nothing was asked.
	Verdict string `json:"-"`
	// Class says what is in the way of a blocked upload.
	Class string `json:"-"`
	// Files are all that OneDrive is to have, Waiting those of them that are not known to be uploaded.
	Files   int `json:"-"`
	Waiting int `json:"-"`
	// Since is when the oldest of those was put into the folder, or, if there is none, when the newest backup was seen
	// uploaded.
	Since time.Time `json:"-"`
}

// Watch is what OneDrive answered.
type Watch struct {
	CanAnswer     bool      `json:"can_answer"`
	All           Judgement `json:"all"`
	WaitedSeconds float64   `json:"waited_s"`
	LookedAt      time.Time `json:"looked_at"`
	Backups       []struct {
		BackupID string `json:"backup_id"`
		Uploaded *struct {
			At time.Time `json:"at"`
		} `json:"uploaded"`
	} `json:"backups"`
}

// Judgement is the verdict on all files.
type Judgement struct {
	Verdict string `json:"verdict"`
	Class   string `json:"class"`
	Files   int    `json:"files"`
	Waiting int    `json:"waiting"`
}

// settle takes up what OneDrive answered. newest is the id of the newest backup.
func (o *Sync) settle(newest string) {
	w := o.Watch
	if w == nil || !w.CanAnswer {
		return
	}
	o.Verdict, o.Class, o.Files, o.Waiting = w.All.Verdict, w.All.Class, w.All.Files, w.All.Waiting
	if o.Waiting > 0 && !w.LookedAt.IsZero() {
		o.Since = w.LookedAt.Add(-time.Duration(w.WaitedSeconds * float64(time.Second)))
		return
	}
	for _, b := range w.Backups {
		if b.BackupID == newest && b.Uploaded != nil {
			o.Since = b.Uploaded.At
		}
	}
}

// Proof says whether a restore is proven.
type Proof struct {
	Proven    bool     `json:"proven"`
	Why       string   `json:"why"`
	LastFull  *Drilled `json:"last_full"`
	LastLight *Drilled `json:"last_light"`
}

// Drilled is a rehearsed restore.
type Drilled struct {
	At             time.Time `json:"at"`
	Passed         bool      `json:"passed"`
	RestoreSeconds float64   `json:"restore_s"`
}

// Trouble is an open problem.
type Trouble struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Hint string `json:"hint"`
}

// StatusVersion is the version of the status that is understood here.
const StatusVersion = 1

// ErrNewer says that a newer program wrote the status.
var ErrNewer = errors.New("the status was written by a newer version of this program")

// Decode reads the JSON of a status.
func Decode(b []byte) (Status, error) {
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return Status{}, fmt.Errorf("read status: %w", err)
	}
	if s.Version > StatusVersion {
		return Status{}, ErrNewer
	}
	if s.Version < 1 {
		return Status{}, errors.New("read status: it has no version")
	}
	newest := ""
	if s.Newest != nil {
		newest = s.Newest.BackupID
	}
	s.OneDrive.settle(newest)
	return s, nil
}
