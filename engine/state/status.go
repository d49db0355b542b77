package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// Status is the folded status: what the runs so far add up to. It is written by the lock's holder.
type Status struct {
	Version int `json:"version"`
	// Run is the run that is active, or the last one if it never reached its end.
	Run *Run `json:"run,omitempty"`
	// LastBackup is the newest complete backup this machine made; LastFailure the newest attempt that failed after it.
	LastBackup  *BackupResult `json:"last_backup,omitempty"`
	LastFailure *Failure      `json:"last_failure,omitempty"`
	LastVerify  *VerifyResult `json:"last_verify,omitempty"`
	Drills      Drills        `json:"drills"`
	// Problems are open: each was seen by the newest run that could see it.
	Problems []Problem `json:"problems,omitempty"`
}

// Run is a run in progress. Reader: combine it with the lock.
type Run struct {
	Kind      string      `json:"kind"`
	StartedAt time.Time   `json:"started_at"`
	PID       int         `json:"pid"`
	Phase     event.Phase `json:"phase,omitempty"`
	DoneBytes int64       `json:"done_bytes"`
	// TotalBytes is 0 while it is not known.
	TotalBytes int64     `json:"total_bytes"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// BackupResult is a complete backup as its run reported it.
type BackupResult struct {
	BackupID    string               `json:"backup_id"`
	StartedAt   time.Time            `json:"started_at,omitzero"`
	FinishedAt  time.Time            `json:"finished_at"`
	Seconds     float64              `json:"duration_s"`
	StoredBytes int64                `json:"stored_bytes"`
	SourceBytes int64                `json:"source_bytes"`
	Files       int                  `json:"files"`
	Vault       bool                 `json:"vault"`
	Warnings    []repository.Warning `json:"warnings,omitempty"`
}

// Failure is a run that did not succeed.
type Failure struct {
	Kind  string    `json:"kind"`
	At    time.Time `json:"at"`
	Code  string    `json:"code"`
	Error string    `json:"error"`
	Hint  string    `json:"hint,omitempty"`
}

// VerifyResult is the outcome of the last verification.
type VerifyResult struct {
	At      time.Time `json:"at"`
	Backups int       `json:"backups"`
	Bad     []string  `json:"bad,omitempty"`
}

// Problem is an open problem with its remedy.
type Problem struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Hint string `json:"hint"`
}

// Activity says what the lock and the status together mean.
type Activity string

// The activities.
const (
	Idle        Activity = "idle"
	Running     Activity = "running"
	Interrupted Activity = "interrupted"
)

// WriteStatus replaces status.json. Only the lock's holder may call it.
func (d Dir) WriteStatus(s *Status) error {
	s.Version = 1
	if err := d.writeJSON(statusName, false, s); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// ReadStatus reads status.json and the lock. A machine that never ran has an empty, idle status.
func (d Dir) ReadStatus() (*Status, Activity, error) {
	return combine(func() (bool, error) { return fsx.Locked(filepath.Join(d.Path, lockName)) }, d.loadStatus)
}

// combine looks at the lock and the status until both tell of the same moment.
func combine(look func() (bool, error), load func() (*Status, error)) (*Status, Activity, error) {
	var seen *Run
	for {
		locked, err := look()
		if err != nil {
			return nil, "", fmt.Errorf("look at the run lock: %w", err)
		}
		s, err := load()
		switch {
		case err != nil:
			return nil, "", err
		case locked:
			return s, Running, nil
		case s.Run == nil:
			return s, Idle, nil
		case seen != nil && seen.PID == s.Run.PID && seen.StartedAt.Equal(s.Run.StartedAt):
			// The lock was free after this run was seen, and it never said that it ended.
			return s, Interrupted, nil
		}
		// It may have begun between the two looks.
		seen = s.Run
	}
}

// LoadStatus reads status.json for the lock's holder, who goes on from it. A damaged one is begun anew: it only
// repeats what repository and history hold.
func (d Dir) LoadStatus() *Status {
	s, err := d.loadStatus()
	if err != nil {
		return &Status{}
	}
	return s
}

func (d Dir) loadStatus() (*Status, error) {
	s := new(Status)
	b, err := os.ReadFile(filepath.Join(d.Path, statusName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("read status: %v: %w", err, repository.ErrDamaged)
	}
	return s, nil
}
