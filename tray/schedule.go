package tray

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"maia-dr/tray/menu"
)

// CommandScheduler is a Scheduler that runs `maia-dr schedule` as a child: what it changes in the system may end the
// process that changes it, and that must not be the menu.
type CommandScheduler struct {
	// Program and Flags are as in Options.
	Program string
	Flags   []string
}

// jobs names the jobs of the schedule as its commands call them.
var jobs = map[string]string{"daily": "backup", "login": "menu"}

// Timetable implements Scheduler.
func (c CommandScheduler) Timetable(ctx context.Context) (menu.Timetable, error) {
	// The command ends with 3 where something needs attention; its answer counts all the same.
	out, err := runQuietly(ctx, &Options{Program: c.Program, Flags: c.Flags}, "schedule", "status", "--json")
	t, perr := parseTimetable(out)
	if perr != nil && err != nil {
		return menu.Timetable{}, fmt.Errorf("read the schedule: %w", err)
	}
	return t, perr
}

// parseTimetable reads the answer of `maia-dr schedule status --json`.
func parseTimetable(b []byte) (menu.Timetable, error) {
	var s struct {
		Version      int       `json:"version"`
		At           string    `json:"at"`
		NextBackup   time.Time `json:"next_backup"`
		Backup, Menu struct {
			Installed bool `json:"installed"`
		}
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return menu.Timetable{}, fmt.Errorf("read the schedule: %w", err)
	}
	at, err := time.Parse("15:04", s.At)
	if err != nil || s.Version != 1 {
		return menu.Timetable{}, fmt.Errorf("read the schedule: version %d, at %q", s.Version, s.At)
	}
	return menu.Timetable{Known: true, Daily: s.Backup.Installed, AtLogin: s.Menu.Installed, Hour: at.Hour(), Minute: at.Minute(), Next: s.NextBackup}, nil
}

// Switch implements Scheduler.
func (c CommandScheduler) Switch(ctx context.Context, what string, on bool) error {
	job, ok := jobs[what]
	if !ok {
		return fmt.Errorf("change the schedule: there is no job %q", what)
	}
	verb := "remove"
	if on {
		verb = "install"
	}
	if _, err := runQuietly(ctx, &Options{Program: c.Program, Flags: c.Flags}, "schedule", verb, "--only", job); err != nil {
		return fmt.Errorf("change the schedule: %w", err)
	}
	return nil
}
