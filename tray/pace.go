package tray

import (
	"time"

	"maia-dr/tray/menu"
)

// pace measures how fast the phase of a run goes.
type pace struct {
	started time.Time // of the run
	phase   string
	at      time.Time
	done    int64
}

// measureAfter is how long a phase must have gone on before its speed says anything.
const measureAfter = 3 * time.Second

// measure takes up where a run is, and returns its speed in bytes a second; 0: not known. It goes by the times that the
// run itself wrote down.
func (p *pace) measure(r *menu.Run) float64 {
	if r == nil {
		*p = pace{}
		return 0
	}
	if !r.StartedAt.Equal(p.started) || r.Phase != p.phase || r.DoneBytes < p.done || r.UpdatedAt.Before(p.at) {
		*p = pace{started: r.StartedAt, phase: r.Phase, at: r.UpdatedAt, done: r.DoneBytes}
		return 0
	}
	d := r.UpdatedAt.Sub(p.at)
	if d < measureAfter {
		return 0
	}
	return float64(r.DoneBytes-p.done) / d.Seconds()
}
