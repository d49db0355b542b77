// Package tray is the menu-bar app: it looks at the status, shows what package menu makes of it, and carries out the
// clicks.
//
// One loop owns all that changes, and touches neither disk nor screen. What takes time is done beside it and comes back
// as a change:
//
//	state folder, clock, clicks -> loop -> menu.Build -> if it differs: screen
//	                                 |  ^
//	                  background work:  look at the status, start a backup, open a folder
//
// A backup is a child process with a session of its own, so that a crash of either never takes the other along. Idle,
// the loop wakes once a minute, for times that have passed.
package tray

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"maia-dr/engine/fsx"
	"maia-dr/tray/menu"
	"maia-dr/tray/notify"
)

// Look is what there is to be shown of the engine.
type Look struct {
	Status menu.Status
	Recent []menu.Backup
}

// Engine is what the menu needs of the engine. Its methods are called from one goroutine at a time.
type Engine interface {
	// Look looks at everything, the OneDrive folder too. menu.ErrNewer says that a newer program wrote the state.
	Look(ctx context.Context) (Look, error)
	// Glance looks at the run alone: what is active, and how far it is. It returns activity and run as in menu.Status.
	Glance() (activity string, run *menu.Run, err error)
}

// Scheduler switches what runs by itself.
type Scheduler interface {
	// Timetable says what is switched on.
	Timetable(ctx context.Context) (menu.Timetable, error)
	// Switch switches the daily backup ("daily") or the start at login ("login") on or off.
	Switch(ctx context.Context, what string, on bool) error
}

// Options are what the menu gets from outside.
type Options struct {
	StateDir string
	// Prepare makes the state directory, once it is clear that there is a place for a menu.
	Prepare func() error
	FS      *fsx.FS
	Now     func() time.Time
	Getenv  func(string) string
	UID     int
	Engine  Engine
	// Scheduler is nil where there is none.
	Scheduler Scheduler
	// Program is the path of this program, Flags what its children are given before their command.
	Program string
	Flags   []string
	Can     menu.Capabilities
	Version string
	Keeper  *notify.Keeper
	Log     zerolog.Logger
}

// screen shows menus. show is called from the loop alone, and must not block for long.
type screen interface {
	show(old, new menu.Menu)
	// refresh sends icon and tooltip once more.
	refresh(m menu.Menu)
}

// ErrAlready says that the menu is shown by another process.
var ErrAlready = errors.New("the menu is in the menu bar already")

const lockName = "tray.lock"

// Print returns the menu as it would be shown now.
func Print(ctx context.Context, o Options) menu.Menu {
	l := newLoop(o)
	choices, err := ReadChoices(o.StateDir)
	if err != nil {
		o.Log.Warn().Err(err).Msg("read the choices")
	}
	l.state.PausedUntil, l.state.Muted = choices.PausedUntil, choices.Muted
	look, lerr := o.Engine.Look(ctx)
	l.looked(look, lerr)
	if o.Scheduler != nil {
		if t, err := o.Scheduler.Timetable(ctx); err == nil {
			l.state.Schedule = t
		}
	}
	return menu.Build(l.state, o.Now())
}
