package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/tray/menu"
)

// Names in the state directory.
const (
	ledgerName = "incidents.json"
	lockName   = "incidents.lock"
)

const (
	remindAfter = 24 * time.Hour
	// retryAfter is how long a process that could not tell of an incident waits before it tries again.
	retryAfter = 15 * time.Minute
	// lockWait is how long another process may take to tell; it is more than one that keeps its limits needs.
	lockWait  = 30 * time.Second
	lockEvery = 50 * time.Millisecond
)

// ledger is what all processes together have told.
type ledger struct {
	Version int `json:"version"`
	// Welcomed says that the test notification of the first start has been sent.
	Welcomed bool `json:"welcomed"`
	// LastSuccess is the last backup that was told of as a success.
	LastSuccess string            `json:"last_success,omitempty"`
	Incidents   map[string]record `json:"incidents"`
	// Over is when an incident of the group was last told to be over.
	Over map[menu.Group]time.Time `json:"over,omitempty"`
}

// record is an incident that is open, as far as is known.
type record struct {
	Group menu.Group `json:"group"`
	Since time.Time  `json:"since"`
	// Told is when the owner was last told of it; zero: not yet.
	Told time.Time `json:"told"`
	// Asked is when a channel was handed it and did not answer in time: it may have told him.
	Asked time.Time `json:"asked,omitzero"`
	Times int       `json:"times"`
}

// Keeper tells of incidents through its channels. It is safe for concurrent use, and so are several in as many
// processes.
type Keeper struct {
	// Dir is the state directory. One that is not there yet is not made: nothing has happened that could be told.
	Dir string
	FS  *fsx.FS
	Now func() time.Time
	// Channels are tried in turn; an incident that none took is tried again.
	Channels []Channel

	mu    sync.Mutex
	tried map[string]time.Time // when this process could not tell of an incident
}

// Report tells of what has begun, what still lasts after a day, and what is over. The error is about channels and the
// ledger; it is for the log.
func (k *Keeper) Report(ctx context.Context, a menu.Alerts) error {
	return k.with(ctx, func(l *ledger) error {
		open := k.current(l, a)
		k.meet(l, open)
		return errors.Join(k.tellOpen(ctx, l, open), k.tellOver(ctx, l, a))
	})
}

// current is what is open but for what another process has told to be over since it was looked at.
func (k *Keeper) current(l *ledger, a menu.Alerts) (open []menu.Incident) {
	for _, in := range a.Open {
		if _, met := l.Incidents[in.Key]; met || !k.unseen(l.Over[in.Group], a.AsOf) {
			open = append(open, in)
		}
	}
	return open
}

// unseen reports whether t is later than a look. A clock that was set back hides nothing.
func (k *Keeper) unseen(t, asOf time.Time) bool {
	return !asOf.IsZero() && t.After(asOf) && !t.After(k.Now())
}

// Welcome sends a first message, once for all processes and starts.
func (k *Keeper) Welcome(ctx context.Context, m Message) error {
	return k.with(ctx, func(l *ledger) error {
		if l.Welcomed {
			return nil
		}
		told, err := send(ctx, k.Channels, m)
		l.Welcomed = told
		return err
	})
}

// Success tells of a complete backup, once.
func (k *Keeper) Success(ctx context.Context, backupID string, m Message) error {
	return k.with(ctx, func(l *ledger) error {
		if l.LastSuccess == backupID {
			return nil
		}
		told, err := send(ctx, k.Channels, m)
		if told {
			l.LastSuccess = backupID
		}
		return err
	})
}

// meet notes incidents that are new.
func (k *Keeper) meet(l *ledger, open []menu.Incident) {
	for _, in := range open {
		if _, ok := l.Incidents[in.Key]; !ok {
			l.Incidents[in.Key] = record{Group: in.Group, Since: k.Now().UTC()}
		}
	}
}

func (k *Keeper) tellOpen(ctx context.Context, l *ledger, open []menu.Incident) (err error) {
	now := k.Now()
	for _, in := range open {
		r := l.Incidents[in.Key]
		m := Message{Event: Problem, Key: in.Key, Title: in.Title, Text: in.Text, Remedy: in.Remedy}
		switch {
		case in.Muted, !r.Told.IsZero() && within(now, r.Told, remindAfter), within(now, r.Asked, retryAfter), within(now, k.tried[in.Key], retryAfter):
			continue
		case !r.Told.IsZero():
			m.Event, m.Title = Reminder, "Still: "+in.Title
		}
		told, cerr := send(ctx, k.Channels, m)
		err = errors.Join(err, cerr)
		if !told {
			k.tried[in.Key] = now
			if errors.Is(cerr, context.DeadlineExceeded) {
				// Another process that tried at once might tell him a second time.
				r.Asked = now.UTC()
				l.Incidents[in.Key] = r
			}
			continue
		}
		delete(k.tried, in.Key)
		r.Told, r.Asked, r.Times = now.UTC(), time.Time{}, r.Times+1
		l.Incidents[in.Key] = r
	}
	return err
}

// within reports whether now is less than d after t. A clock that was set back does not silence anything for longer.
func within(now, t time.Time, d time.Duration) bool {
	since := now.Sub(t)
	return since > -d && since < d
}

func (k *Keeper) anyUnseen(l *ledger, g menu.Group, asOf time.Time) bool {
	for _, r := range l.Incidents {
		if r.Group == g && (k.unseen(r.Since, asOf) || k.unseen(r.Told, asOf)) {
			return true
		}
	}
	return false
}

// tellOver tells once of each group that is well again, if the owner was told that it was not, and before that was looked at.
func (k *Keeper) tellOver(ctx context.Context, l *ledger, a menu.Alerts) (err error) {
	groups := make([]menu.Group, 0, len(a.Well))
	for g := range a.Well {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		if k.anyUnseen(l, g, a.AsOf) {
			continue
		}
		told := false
		for key, r := range l.Incidents {
			if r.Group == g {
				told = told || !r.Told.IsZero()
				delete(l.Incidents, key)
				delete(k.tried, key)
			}
		}
		if told {
			if l.Over == nil {
				l.Over = map[menu.Group]time.Time{}
			}
			l.Over[g] = k.Now().UTC()
			_, cerr := send(ctx, k.Channels, Message{Event: Restored, Title: restoredTitles[g], Text: a.Well[g]})
			err = errors.Join(err, cerr)
		}
	}
	return err
}

var restoredTitles = map[menu.Group]string{
	menu.Backups: "Backups work again",
	menu.Uploads: "The backup is uploaded after all",
	menu.Drills:  "Rehearsed restores work again",
}

// with calls do with the ledger, under the lock of all processes, and writes down what it changed.
func (k *Keeper) with(ctx context.Context, do func(*ledger) error) error {
	if _, err := os.Stat(k.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tried == nil {
		k.tried = map[string]time.Time{}
	}
	lock, err := k.lock(ctx)
	if err != nil {
		return fmt.Errorf("lock the incidents: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	l := k.load()
	before, err := json.Marshal(l)
	if err != nil {
		return err
	}
	err = do(l)
	after, merr := json.Marshal(l)
	if merr != nil || slices.Equal(before, after) {
		return errors.Join(err, merr)
	}
	return errors.Join(err, k.FS.WriteDurable(filepath.Join(k.Dir, ledgerName), 0o600, func(w io.Writer) error {
		_, err := w.Write(append(after, '\n'))
		return err
	}))
}

func (k *Keeper) lock(ctx context.Context) (*fsx.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		lock, err := fsx.TryLock(filepath.Join(k.Dir, lockName))
		if !errors.Is(err, fsx.ErrLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lockEvery):
		}
	}
}

// load reads the ledger. One that is missing or damaged is empty: the owner is then told once more.
func (k *Keeper) load() *ledger {
	l := new(ledger)
	if b, err := os.ReadFile(filepath.Join(k.Dir, ledgerName)); err != nil || json.Unmarshal(b, l) != nil {
		l = new(ledger)
	}
	l.Version = 1
	if l.Incidents == nil {
		l.Incidents = map[string]record{}
	}
	return l
}
