package cli

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"maia-dr/engine/event"
)

var phaseNames = map[event.Phase]string{
	event.Scan:      "Looking at files",
	event.Capture:   "Capturing",
	event.Rebuild:   "Rebuilding the block index",
	event.Verify:    "Checking",
	event.Publish:   "Copying to OneDrive",
	event.Retention: "Applying the retention rule",
	event.Wait:      "Waiting for OneDrive",
	event.Download:  "Downloading from OneDrive",
	event.Plan:      "Planning",
	event.Read:      "Reading",
	event.Place:     "Putting files in place",
	event.Check:     "Checking databases",
	event.Activate:  "Loading agents",
	event.Compare:   "Comparing what was restored",
	event.Export:    "Copying",
}

// sink returns what the engine reports to: JSON lines, a progress bar on a terminal, or nothing.
func (a *app) sink() event.Sink {
	switch {
	case a.flags.json:
		return a.jsonSink()
	case a.Terminal && !a.flags.quiet:
		b := &bar{app: a}
		a.cleanup = append([]func(){b.clear}, a.cleanup...)
		return b.event
	}
	return func(ev event.Event) {
		if ev.Kind == event.Note {
			a.say("%s\n", clean(ev.Text))
		}
	}
}

// jsonEvent is a line of JSON output.
type jsonEvent struct {
	Event      event.Kind  `json:"event"`
	Phase      event.Phase `json:"phase,omitempty"`
	DoneBytes  int64       `json:"done_bytes,omitempty"`
	TotalBytes int64       `json:"total_bytes,omitempty"`
	Text       string      `json:"text,omitempty"`
	Warning    any         `json:"warning,omitempty"`
}

// jsonSink writes each event as a line, progress at most twice a second.
func (a *app) jsonSink() event.Sink {
	var mu sync.Mutex
	var last time.Time
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	return func(ev event.Event) {
		mu.Lock()
		defer mu.Unlock()
		if ev.Kind == event.Progress {
			now := a.Env.Now()
			if now.Sub(last) < 500*time.Millisecond {
				return
			}
			last = now
		}
		line := jsonEvent{Event: ev.Kind, Phase: ev.Phase, DoneBytes: ev.Done, TotalBytes: ev.Total, Text: ev.Text}
		if ev.Warning != nil {
			line.Warning = ev.Warning
		}
		// Nobody can be told that standard output is closed.
		_ = enc.Encode(line)
	}
}

// bar shows one phase at a time with rate and time left.
type bar struct {
	app *app
	mu  sync.Mutex
	bar *progressbar.ProgressBar
	// phase is what the bar shows.
	phase event.Phase
}

func (b *bar) event(ev event.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev.Kind {
	case event.PhaseStarted:
		b.begin(ev)
	case event.Progress:
		if b.bar == nil || b.phase != ev.Phase {
			b.begin(ev)
		}
		// A bar that cannot be drawn is no reason to stop.
		_ = b.bar.Set64(ev.Done)
	case event.Note, event.Warned:
		b.reset()
		if ev.Kind == event.Note {
			b.app.say("%s\n", clean(ev.Text))
		}
	}
}

// begin puts a new bar on the screen.
func (b *bar) begin(ev event.Event) {
	b.reset()
	b.phase = ev.Phase
	total := ev.Total
	if total == 0 {
		total = -1
	}
	opts := []progressbar.Option{
		progressbar.OptionSetWriter(b.app.Err), progressbar.OptionSetDescription(phaseNames[ev.Phase]), progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true),
		// Without a goroutine of its own, which would go on drawing after the bar is taken off the screen.
		progressbar.OptionSetSpinnerChangeInterval(0),
	}
	if ev.Phase != event.Check && ev.Phase != event.Activate {
		opts = append(opts, progressbar.OptionShowBytes(true))
	}
	b.bar = progressbar.NewOptions64(total, opts...)
}

func (b *bar) reset() {
	if b.bar != nil {
		_ = b.bar.Clear()
		b.bar = nil
	}
}

func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reset()
}
