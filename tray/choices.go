package tray

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/tray/menu"
)

const choicesName = "choices.json"

// Choices are what the owner chose in the menu, or with the commands that do the same.
type Choices struct {
	Version int `json:"version"`
	// PausedUntil is when scheduled backups go on.
	PausedUntil time.Time `json:"paused_until,omitzero"`
	// Muted are problems he does not want to be told of, by key, and until when.
	Muted map[string]time.Time `json:"muted,omitempty"`
}

// MuteFor is how long a problem stays muted.
const MuteFor = 7 * 24 * time.Hour

// ReadChoices reads the choices; there are none to begin with. Those of a damaged file are none, with an error.
func ReadChoices(stateDir string) (Choices, error) {
	var c Choices
	b, err := os.ReadFile(filepath.Join(stateDir, choicesName))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read choices: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return Choices{}, fmt.Errorf("read choices: %w", err)
	}
	return c, nil
}

// ChangeChoices changes the choices durably; what is over by now is dropped. Two processes that change them in the same
// moment do so one after the other.
func ChangeChoices(stateDir string, disk *fsx.FS, now time.Time, change func(*Choices)) (Choices, error) {
	lock, err := fsx.TryLock(filepath.Join(stateDir, "choices.lock"))
	for try := 0; errors.Is(err, fsx.ErrLocked) && try < 100; try++ {
		<-time.After(20 * time.Millisecond)
		lock, err = fsx.TryLock(filepath.Join(stateDir, "choices.lock"))
	}
	if err != nil {
		return Choices{}, fmt.Errorf("change choices: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	c, _ := ReadChoices(stateDir) // a damaged file is begun anew
	if c.Muted == nil {
		c.Muted = map[string]time.Time{}
	}
	c.Version = 1
	change(&c)
	for key, until := range c.Muted {
		if !until.After(now) {
			delete(c.Muted, key)
		}
	}
	if !c.PausedUntil.After(now) {
		c.PausedUntil = time.Time{}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return Choices{}, err
	}
	err = disk.WriteDurable(filepath.Join(stateDir, choicesName), 0o600, func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
	if err != nil {
		return Choices{}, fmt.Errorf("change choices: %w", err)
	}
	return c, nil
}

// Pause sets until when scheduled backups pause: "hour", "tomorrow", or "" to go on now. Any other word is an error.
func (c *Choices) Pause(word string, now time.Time) error {
	switch word {
	case "hour":
		c.PausedUntil = now.Add(time.Hour).UTC()
	case "tomorrow":
		c.PausedUntil = menu.Tomorrow(now).UTC()
	case "":
		c.PausedUntil = time.Time{}
	default:
		return fmt.Errorf("%q is neither hour nor tomorrow", word)
	}
	return nil
}

// Mute mutes a problem for a week from now.
func (c *Choices) Mute(key string, now time.Time) { c.Muted[key] = now.Add(MuteFor).UTC() }
