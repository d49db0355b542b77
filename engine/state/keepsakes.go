package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"maia-dr/engine/repository"
)

const (
	keepsakesName = "keepsakes.json"
	reportName    = "report.html"
)

// Keepsakes are what the owner did by hand, to be reminded of.
type Keepsakes struct {
	// PasswordTypedAt is when the owner last typed the vault password; zero: never here.
	PasswordTypedAt time.Time `json:"password_typed_at"`
	// Sheet is the recovery sheet last made; nil: none.
	Sheet *Sheet `json:"sheet,omitempty"`
}

// Sheet is a recovery sheet that lies printed somewhere.
type Sheet struct {
	At           time.Time       `json:"at"`
	Path         string          `json:"path"`
	ScriptSHA256 repository.Hash `json:"script_sha256"`
}

// SheetFile returns the path of the recovery sheet.
func (d Dir) SheetFile() string { return filepath.Join(d.Path, "recovery-sheet.html") }

// ReportFile returns the path of the report's page.
func (d Dir) ReportFile() string { return filepath.Join(d.Path, reportName) }

// Keepsakes reads them; there are none to begin with.
func (d Dir) Keepsakes() (*Keepsakes, error) {
	b, err := os.ReadFile(filepath.Join(d.Path, keepsakesName))
	if errors.Is(err, fs.ErrNotExist) {
		return new(Keepsakes), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keepsakesName, err)
	}
	k := new(Keepsakes)
	if err := json.Unmarshal(b, k); err != nil {
		return nil, fmt.Errorf("read %s: %v: %w", keepsakesName, err, repository.ErrDamaged)
	}
	return k, nil
}

// SaveKeepsakes writes them durably.
func (d Dir) SaveKeepsakes(k *Keepsakes) error { return d.writeJSON(keepsakesName, true, k) }
