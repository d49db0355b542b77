package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
)

func moment(awake time.Duration) onedrive.Moment {
	return onedrive.Moment{Wall: time.Unix(1000, 0).UTC().Add(awake), Awake: awake}
}

func sampleLedger() *Ledger {
	l := &Ledger{Version: 1, RepositoryID: "r", Folder: "/f", Last: moment(time.Hour), Files: map[string]*onedrive.Track{}, Backups: map[string]*SyncBackup{}}
	l.Advance(moment(2 * time.Hour))
	waiting := onedrive.NewTrack(7, "b", l.Odometer, l.Last.Wall)
	proven := onedrive.NewTrack(8, "", l.Odometer, l.Last.Wall)
	proven.Proven, proven.Print = onedrive.ClientUploaded, &onedrive.Fingerprint{SizeBytes: 8, MTimeNS: 1, Inode: 2}
	l.Files["chunks/a.gz"], l.Files["b/x"] = waiting, proven
	l.Backups["b"] = &SyncBackup{PublishedAt: l.Last.Wall, Published: l.Odometer, Uploaded: &Sync{Rung: onedrive.CloudVerified, Hash: &SyncHash{Files: 2}}}
	return l
}

func TestLedgerRoundTrip(t *testing.T) {
	d := newDir(t)
	empty, err := d.LoadLedger("r", "/f", moment(time.Minute))
	if err != nil || len(empty.Files) != 0 || empty.Last.Awake != time.Minute || empty.Odometer != 0 {
		t.Fatalf("%+v %v", empty, err)
	}
	want := sampleLedger()
	if err := d.SaveLedger(want); err != nil {
		t.Fatal(err)
	}
	wantMode(t, d.SyncLedger(), 0o600)
	if got, err := d.LoadLedger("r", "/f", moment(0)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	// Of another repository, or another folder, nothing is known.
	for _, other := range [][2]string{{"s", "/f"}, {"r", "/g"}} {
		if got, err := d.LoadLedger(other[0], other[1], moment(time.Minute)); err != nil || len(got.Files) != 0 || got.RepositoryID != other[0] || got.Folder != other[1] {
			t.Errorf("%v: %+v %v", other, got, err)
		}
	}
}

// Whatever is wrong in the file, it is not taken for a ledger in which nothing is late.
func TestLedgerDamaged(t *testing.T) {
	d := newDir(t)
	if err := d.SaveLedger(sampleLedger()); err != nil {
		t.Fatal(err)
	}
	whole := d.read(t, syncName)
	for n := range len(whole) - 1 {
		d.put(t, syncName, whole[:n])
		if l, err := d.LoadLedger("r", "/f", moment(0)); l != nil || !errors.Is(err, ErrLedger) {
			t.Fatalf("cut off after %d bytes: %v %v", n, l, err)
		}
	}
	for name, change := range map[string][2]string{
		"a rung of its own":       {`"client_uploaded"`, `"surely"`},
		"proven by nothing":       {`"print": {`, `"other": {`},
		"a size below zero":       {`"size_bytes": 7`, `"size_bytes": -7`},
		"published in the future": {`"published_ns": 3600000000000`, `"published_ns": 7200000000000`},
		"no track":                {`"chunks/a.gz": {`, `"z": null, "chunks/a.gz": {`},
		"an odometer below zero":  {`"odometer_ns": 3600000000000`, `"odometer_ns": -1`},
	} {
		bad := strings.Replace(whole, change[0], change[1], 1)
		if bad == whole {
			t.Fatalf("%s: nothing was changed in %s", name, whole)
		}
		d.put(t, syncName, bad)
		if l, err := d.LoadLedger("r", "/f", moment(0)); l != nil || !errors.Is(err, ErrLedger) {
			t.Errorf("%s: %+v %v", name, l, err)
		}
	}
	d.put(t, syncName, strings.Replace(whole, `"version": 1`, `"version": 2`, 1))
	if _, err := d.LoadLedger("r", "/f", moment(0)); !errors.Is(err, ErrLedger) || !errors.Is(err, repository.ErrNewerFormat) {
		t.Error(err)
	}
}

// FuzzDecodeLedger: what is accepted survives a round trip, and nothing in it is proven without the file it was proven of.
func FuzzDecodeLedger(f *testing.F) {
	d := Dir{Path: f.TempDir()}
	if err := d.SaveLedger(sampleLedger()); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(d.SyncLedger())
	if err != nil || len(b) == 0 {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"files":{},"backups":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLedger(b)
		if err != nil {
			return
		}
		for name, tr := range l.Files {
			if tr.Rung() >= onedrive.ClientUploaded && tr.Print == nil {
				t.Errorf("%q is proven by nothing", name)
			}
		}
		d := Dir{Path: t.TempDir()}
		if err := d.SaveLedger(l); err != nil {
			return // a year that JSON does not have
		}
		if again, err := d.LoadLedger(l.RepositoryID, l.Folder, onedrive.Moment{}); err != nil || !reflect.DeepEqual(again, l) {
			t.Errorf("%+v %v, was %+v", again, err, l)
		}
	})
}

// The ledger's lock is waited for, and given up with ctx.
func TestLockLedger(t *testing.T) {
	d := newDir(t)
	first, err := d.LockLedger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := d.LockLedger(ctx); l != nil || !errors.Is(err, fsx.ErrLocked) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v %v", l, err)
	}
	got := make(chan error)
	go func() {
		l, err := d.LockLedger(t.Context())
		if err == nil {
			err = l.Unlock()
		}
		got <- err
	}()
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	if locked, err := fsx.Locked(filepath.Join(d.Path, lockName)); err != nil || locked {
		t.Error("the run lock was taken:", err)
	}
}
