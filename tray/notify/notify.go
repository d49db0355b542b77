// Package notify tells the owner what needs him, once: on the screen, and where he has set them up, through a webhook
// and a health-check service.
//
// An incident is what he is told of. The ledger remembers in the state directory which incidents he has been told of, so
// that of all the processes that see one exactly one tells him; again after a day while it lasts; and once when it is
// over. A channel is a way to tell him. No channel ever fails a backup, and none waits longer than its time limit.
package notify

import (
	"context"
	"errors"
	"time"

	"maia-dr/tray/menu"
)

// Message is what the owner is told.
type Message struct {
	// Event is problem, reminder, restored, completed or test.
	Event string `json:"event"`
	// Key is that of the incident; empty where there is none.
	Key   string `json:"key,omitempty"`
	Title string `json:"title"`
	Text  string `json:"text"`
	// Remedy says what to do; empty: nothing.
	Remedy string `json:"what_to_do,omitempty"`
}

// Values of Message.Event.
const (
	Problem   = "problem"
	Reminder  = "reminder"
	Restored  = "restored"
	Completed = "completed"
	Test      = "test"
)

// Channel hands a message over. It returns when the message is handed over or ctx ends; nil does not say that somebody
// has seen it.
type Channel func(ctx context.Context, m Message) error

// ErrNoScreen says that there is no desktop session to show a notification in.
var ErrNoScreen = errors.New("there is no desktop session to show notifications in")

// limit is how long one message may take through one channel.
const limit = 10 * time.Second

// Limits of what is shown, in characters.
const (
	maxTitle = 80
	maxText  = 300
)

// clean makes a message fit for every channel: no control characters, one line, no credentials of an address.
func (m Message) clean() Message {
	m.Title = menu.Clean(hideCredentials(m.Title), maxTitle)
	m.Text = menu.Clean(hideCredentials(m.Text), maxText)
	m.Remedy = menu.Clean(hideCredentials(m.Remedy), maxText)
	return m
}

// body is the message without its title.
func (m Message) body() string {
	if m.Remedy == "" {
		return m.Text
	}
	return m.Text + " " + m.Remedy
}

// Send hands a message to one channel, within its time limit.
func Send(ctx context.Context, c Channel, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c(ctx, m.clean())
}

// send hands a message to every channel. It is told of if one of them took it; the error joins those of the others.
func send(ctx context.Context, channels []Channel, m Message) (told bool, err error) {
	for _, c := range channels {
		cerr := Send(ctx, c, m)
		if cerr == nil {
			told = true
		} else {
			err = errors.Join(err, cerr)
		}
	}
	return told, err
}
