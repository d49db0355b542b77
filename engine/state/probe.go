package state

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

const probeName = "probe.json"

// Access is what became of looking into a folder.
type Access string

// The kinds of access.
const (
	AccessGranted Access = "granted"
	AccessPrivacy Access = "privacy" // macOS's privacy protection refused it
	AccessDenied  Access = "denied"  // the modes of files did
	AccessUnknown Access = "unknown" // it failed for another reason, or is not there
)

// Probe is what a program found that was started as the scheduled backups are.
type Probe struct {
	// At is when it began. Between that and Finished a person may have been asked.
	At       time.Time     `json:"at"`
	Finished time.Time     `json:"finished"`
	PID      int           `json:"pid"`
	Results  []ProbeResult `json:"results"`
}

// ProbeResult is about one folder.
type ProbeResult struct {
	What  string `json:"what"` // maia_root, onedrive_folder, home, launch_agents
	Path  string `json:"path,omitempty"`
	State Access `json:"state"`
	Error string `json:"error,omitempty"`
}

// SaveProbe keeps the newest probe.
func (d Dir) SaveProbe(p *Probe) error { return d.writeJSON(probeName, false, p) }

// LoadProbe returns the newest probe; nil: there is none that can be read.
func (d Dir) LoadProbe() *Probe {
	p := new(Probe)
	b, err := os.ReadFile(filepath.Join(d.Path, probeName))
	if err != nil || json.Unmarshal(b, p) != nil {
		return nil
	}
	return p
}
