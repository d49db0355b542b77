// Package menu decides what the menu bar shows, as a value: a State and a time in, a Menu out. Nothing here touches a
// screen, a disk or a clock, so that every menu there can be is compared, printed and tested as text.
//
// A slot is a place in the menu that always exists: libraries for the menu bar cannot take rows away safely, so rows are
// hidden and shown, and two menus differ slot by slot. An answer is one of the first three rows. A problem is a row
// whose click is its remedy. An action is what a click asks for; whoever shows the menu carries it out.
package menu

import "strings"

// Slot is a place in the menu. The order is that on the screen; the rows of a submenu follow the one that opens it.
type Slot int

// MaxProblems is how many problems have a row of their own, MaxRecent how many backups.
const (
	MaxProblems = 6
	MaxRecent   = 5
)

// The slots.
const (
	LastBackup Slot = iota
	OneDrive
	Restore
	NextRun
	firstProblem
)

const (
	MoreProblems = firstProblem + MaxProblems + iota
	Progress
	BackUp
	Cancel
	Drill
	Recent
	firstRecent
)

const (
	OpenFolder = firstRecent + MaxRecent*recentRows + iota
	Report
	Log
	Daily
	AtLogin
	Pause
	PauseHour
	PauseTomorrow
	Resume
	Mute
	firstMute
)

const (
	Password = firstMute + MaxProblems + iota
	Check
	About
	Quit
	Slots
)

// A recent backup's row opens a submenu; what follows the row is in it.
const (
	recentOpen = 1 + iota
	recentVerify
	recentRestore
	recentRows
)

// Problem returns the slot of problem i, counted from 0.
func Problem(i int) Slot { return firstProblem + Slot(i) }

// Muting returns the slot that mutes problem i.
func Muting(i int) Slot { return firstMute + Slot(i) }

// RecentBackup returns the slot of the i-th newest backup, counted from 0.
func RecentBackup(i int) Slot { return firstRecent + Slot(i*recentRows) }

// Parent returns the slot whose submenu s is in.
func (s Slot) Parent() (Slot, bool) {
	switch {
	case s >= firstRecent && s < OpenFolder:
		if i := (s - firstRecent) % recentRows; i != 0 {
			return s - i, true
		}
		return Recent, true
	case s > Pause && s < Mute:
		return Pause, true
	case s > Mute && s < Password:
		return Mute, true
	}
	return 0, false
}

// Tick reports whether the row has a place for a tick.
func (s Slot) Tick() bool { return s == Daily || s == AtLogin || s > Mute && s < Password }

// BeginsSection reports whether a line is drawn above the row.
func (s Slot) BeginsSection() bool {
	return s == Progress || s == OpenFolder || s == Daily || s == About
}

// Verb says what a click asks for.
type Verb string

// The verbs, with what Action.Arg is.
const (
	DoNothing    Verb = ""
	DoStart      Verb = "start"      // the command to start in the background and to follow: backup, drill
	DoStop       Verb = "stop"       // -
	InTerminal   Verb = "terminal"   // the command line after the program's name, separated by spaces
	InBackground Verb = "background" // the same
	DoOpen       Verb = "open"       // a file or folder
	DoPause      Verb = "pause"      // hour, tomorrow; empty: resume
	DoMute       Verb = "mute"       // the key of the problem
	DoUnmute     Verb = "unmute"     // the same
	DoSchedule   Verb = "schedule"   // daily or login, and on or off, separated by a space
	DoQuit       Verb = "quit"       // -
)

// Action is what a click on a row asks for.
type Action struct {
	Verb Verb
	Arg  string
}

// Row is what a slot shows. The zero value is hidden.
type Row struct {
	Label   string
	Enabled bool
	Ticked  bool
	Action  Action
}

// Menu is all that is shown. Menus can be compared with ==.
type Menu struct {
	Icon    Icon
	Tooltip string
	Rows    [Slots]Row
}

// Icon names a picture; each differs from the others in shape.
type Icon string

// The icons.
const (
	Proven    Icon = "proven"    // safe, uploaded, and a restore is proven
	Neutral   Icon = "neutral"   // nothing is wrong, but not all is proven
	Uploading Icon = "uploading" // OneDrive has files to upload
	Attention Icon = "attention" // there is a problem
	Failed    Icon = "failed"    // the last backup failed
	Overdue   Icon = "overdue"   // there is no backup of the last 26 hours
	Paused    Icon = "paused"    // the owner paused the backups
	SetUp     Icon = "setup"     // there has never been a backup
	running   Icon = "running-"  // with a number from 0 to RunningSteps-1
)

// RunningSteps is in how many pictures a run goes from its beginning to its end.
const RunningSteps = 8

// Running returns the icon of a run that is done by the fraction done, which is below 0 where that is not known.
func Running(done float64) Icon {
	step := min(max(int(done*RunningSteps), 0), RunningSteps-1)
	return running + Icon(rune('0'+step))
}

// Icons returns every icon there is.
func Icons() []Icon {
	out := []Icon{Proven, Neutral, Uploading, Attention, Failed, Overdue, Paused, SetUp}
	for i := range RunningSteps {
		out = append(out, Running(float64(i)/RunningSteps))
	}
	return out
}

// String writes the menu as text: a tick as [x], a row that takes no click in parentheses, submenus indented.
func (m Menu) String() string {
	var b strings.Builder
	b.WriteString("Icon: " + string(m.Icon) + "\nTooltip: " + m.Tooltip + "\n\n")
	for s, row := range m.Rows {
		slot := Slot(s)
		if slot.BeginsSection() {
			b.WriteString("----------\n")
		}
		if row.Label == "" || hiddenParent(&m, slot) {
			continue
		}
		for parent, ok := slot.Parent(); ok; parent, ok = parent.Parent() {
			b.WriteString("    ")
		}
		switch {
		case slot.Tick() && row.Ticked:
			b.WriteString("[x] ")
		case slot.Tick():
			b.WriteString("[ ] ")
		}
		if row.Enabled {
			b.WriteString(row.Label + "\n")
		} else {
			b.WriteString("(" + row.Label + ")\n")
		}
	}
	return b.String()
}

func hiddenParent(m *Menu, s Slot) bool {
	parent, ok := s.Parent()
	return ok && m.Rows[parent].Label == ""
}
