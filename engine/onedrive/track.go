package onedrive

import "time"

// Settle is how long, in awake time, a file has to be called uploaded before that is believed.
const Settle = time.Minute

// Moment is a moment on two clocks: the wall's, for people, and one that stands still while the machine sleeps, and
// begins anew when it starts.
type Moment struct {
	Wall  time.Time     `json:"wall"`
	Awake time.Duration `json:"awake_ns"`
}

// Since returns how long the machine was certainly awake from o to m: never more than it was, whatever happened to the
// clocks, and less if it was started again in between.
func (m Moment) Since(o Moment) time.Duration {
	if m.Awake < o.Awake {
		return max(min(m.Awake, m.Wall.Sub(o.Wall)), 0)
	}
	return m.Awake - o.Awake
}

// Track is what is known of one published file. Times without a name of a clock are awake time on the ledger's
// odometer, which only grows.
type Track struct {
	SizeBytes int64 `json:"size_bytes"`
	// Backup is the backup that brought the file in; empty: it was there before the ledger.
	Backup      string        `json:"backup,omitempty"`
	PublishedAt time.Time     `json:"published_at"` // on the wall's clock
	Published   time.Duration `json:"published_ns"`

	// Proven is ClientUploaded or CloudVerified once that is proven of the file as it is; Unknown before.
	Proven Rung `json:"proven"`
	// Last is the rung last observed, Class and Detail what came with it.
	Last   Rung   `json:"last"`
	Class  Class  `json:"class,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Missing: it was not there when it was last looked at.
	Missing bool `json:"missing,omitempty"`
	// Series is the unbroken series of observations as uploaded that goes on; nil: the last one was none.
	Series *Series `json:"series,omitempty"`
	// Print is what the file was when it was proven.
	Print *Fingerprint `json:"print,omitempty"`
	// Refuted: the cloud has other bytes under this name. No lesser source can say that it is uploaded until it is replaced,
	// or the cloud says otherwise.
	Refuted *Refuted `json:"refuted,omitempty"`
	// High is the highest rung it was ever observed on, Moved when it last got higher: what only comes and goes does not
	// move.
	High  Rung          `json:"high"`
	Moved time.Duration `json:"moved_ns"`
	// Falls counts how often it was no longer called uploaded after it had been.
	Falls int `json:"falls,omitempty"`
	// Looked is when it was last looked at.
	Looked time.Duration `json:"looked_ns"`
	// Upload is how long it took from being published to the first observation of the series that proved it, AtLeast to
	// the last one before. Both are 0 until it is proven.
	Upload  time.Duration `json:"upload_ns,omitempty"`
	AtLeast time.Duration `json:"upload_at_least_ns,omitempty"`
	// QuickXor is the file's quickXorHash in base64, once it was computed.
	QuickXor string `json:"quickxor,omitempty"`
}

// Refuted is what the cloud said of a file, and what the file was then.
type Refuted struct {
	Detail string      `json:"detail"`
	Print  Fingerprint `json:"print"`
}

// Series is a series of observations of one unchanged file, each of which called it uploaded.
type Series struct {
	Since time.Duration `json:"since_ns"`
	// Before is when it was looked at the last time before the series.
	Before time.Duration `json:"before_ns"`
	Print  Fingerprint   `json:"print"`
}

// NewTrack begins to watch a file that was published now.
func NewTrack(size int64, backup string, now time.Duration, wall time.Time) *Track {
	return &Track{SizeBytes: size, Backup: backup, PublishedAt: wall, Published: now, Moved: now, Looked: now}
}

// Rung is what may be said of the file. What is not proven is at most being uploaded.
func (t *Track) Rung() Rung {
	switch {
	case t.Missing:
		return Unknown
	case t.Refuted != nil:
		return min(t.Last, Pending)
	case t.Proven >= ClientUploaded:
		return t.Proven
	}
	return min(t.Last, Uploading)
}

// Waits reports whether the file still awaits its upload.
func (t *Track) Waits() bool { return t.Rung() < ClientUploaded }

// Blocked returns what is in the way of the file's upload; empty: nothing is known to be.
func (t *Track) Blocked() (c Class, detail string) {
	if t.Refuted != nil {
		return Differs, t.Refuted.Detail
	}
	return t.Class, t.Detail
}

// Observe takes up an observation made at now on the odometer. Observations come in the order of their times; one that
// is not later than the last is passed over.
func (t *Track) Observe(now time.Duration, o Observation) {
	if now < t.Looked {
		return
	}
	before := t.Looked
	t.Looked = now
	if !o.Missing && o.Print.SizeBytes != t.SizeBytes {
		o.Answer = Answer{Detail: "its size is not that of the file that was published"}
		o.Missing = true
	}
	if t.Proven > Unknown && (o.Missing || t.Print == nil || *t.Print != o.Print) {
		// Another file lies there, or none: nothing is known of it, and its waiting begins now.
		t.Proven, t.Print, t.Series = Unknown, nil, nil
		t.Published, t.Moved, t.High = now, now, Unknown
	}
	if t.Refuted != nil && (o.Top >= CloudVerified || !o.Missing && o.Print != t.Refuted.Print) {
		t.Refuted = nil
	}
	if o.Class == Differs && o.Top >= CloudVerified {
		t.Refuted = &Refuted{o.Detail, o.Print}
	}
	if t.Last >= ClientUploaded && o.Rung < ClientUploaded {
		t.Falls++
	}
	t.Last, t.Class, t.Detail, t.Missing = o.Rung, o.Class, o.Detail, o.Missing
	if o.Rung > t.High {
		t.High, t.Moved = o.Rung, now
	}
	t.weigh(now, before, o)
}

// weigh draws the conclusion for what is proven.
func (t *Track) weigh(now, before time.Duration, o Observation) {
	if t.Refuted != nil {
		t.Series, t.Proven, t.Print = nil, Unknown, nil
		return
	}
	if o.Missing || o.Rung < ClientUploaded {
		t.Series = nil
		// Not knowing is nothing against what was proven of an unchanged file. Its being awaited is, or being refused.
		if o.Class != "" || o.Rung >= Pending {
			t.Proven, t.Print = Unknown, nil
		}
		return
	}
	if t.Series == nil || t.Series.Print != o.Print {
		t.Series = &Series{Since: now, Before: before, Print: o.Print}
	}
	print := o.Print
	switch {
	case o.Rung == CloudVerified:
		// Not a claim: the cloud has these bytes.
		t.prove(CloudVerified, print, now)
	case now-t.Series.Since >= Settle:
		t.prove(max(t.Proven, ClientUploaded), print, now)
	}
}

func (t *Track) prove(r Rung, print Fingerprint, now time.Duration) {
	if t.Proven == Unknown {
		t.Moved = now
		t.Upload, t.AtLeast = max(t.Series.Since-t.Published, 0), max(t.Series.Before-t.Published, 0)
	}
	t.Proven, t.Print = r, &print
}
