package state

import (
	"time"

	"maia-dr/engine/event"
)

// Drills are the rehearsed restores of this machine.
type Drills struct {
	// LastLight and LastFull are the last of each kind that ran to their end, whatever they found.
	LastLight *Drill `json:"last_light,omitempty"`
	LastFull  *Drill `json:"last_full,omitempty"`
	// Proof is the last full drill that passed and left nothing out.
	Proof *Drill `json:"proof,omitempty"`
	// Run counts those that ran to their end, Passed those of them that found nothing wrong.
	Run    int `json:"run"`
	Passed int `json:"passed"`
}

// Drill is what one rehearsed restore came to.
type Drill struct {
	BackupID string    `json:"backup_id"`
	At       time.Time `json:"at"` // its end
	Light    bool      `json:"light"`
	// Script: restored by the backup's own restore_maia.sh.
	Script bool `json:"script"`
	Passed bool `json:"passed"`
	// Vault is none (the backup has none), opened or closed.
	Vault string `json:"vault"`
	// Seconds is all of it; RestoreSeconds what a restore does, without the comparison afterwards.
	Seconds        float64                 `json:"duration_s"`
	RestoreSeconds float64                 `json:"restore_s"`
	Phases         map[event.Phase]float64 `json:"phases_s"`

	Files     int   `json:"files"`
	Bytes     int64 `json:"bytes"`
	Databases int   `json:"databases"`
	// OneDriveBytes, MirrorBytes and DownloadedBytes are stored bytes by where they were read from; what was downloaded
	// counts as OneDrive's too.
	OneDriveBytes   int64 `json:"onedrive_bytes"`
	MirrorBytes     int64 `json:"mirror_bytes"`
	DownloadedBytes int64 `json:"downloaded_bytes,omitempty"`
	// Problems are at most MaxDrillProblems of what was found, ProblemCount counts them all.
	Problems     []string `json:"problems,omitempty"`
	ProblemCount int      `json:"problem_count,omitempty"`
	// Slow says in what way it took too long; empty: it did not.
	Slow string `json:"slow,omitempty"`
}

// MaxDrillProblems is how many problems of a drill are remembered.
const MaxDrillProblems = 20

// Values of Drill.Vault.
const (
	VaultNone   = "none"
	VaultOpened = "opened"
	VaultClosed = "closed"
)

// Proves reports whether a restore is proven by it: everything was restored and compared, the vault too.
func (d *Drill) Proves() bool { return d.Passed && !d.Light && d.Vault != VaultClosed }

// Add takes up a drill that ran to its end.
func (s *Drills) Add(d *Drill) {
	s.Run++
	if d.Passed {
		s.Passed++
	}
	if d.Light {
		s.LastLight = d
	} else {
		s.LastFull = d
	}
	if d.Proves() {
		s.Proof = d
	}
}
