package fsx

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// holdLock names the lock that this process, started by a test, holds until it is killed.
const holdLock = "MAIA_DR_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdLock); path != "" {
		lock, err := TryLock(path)
		if err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("locked\n")
		time.Sleep(time.Minute)
		lock.Unlock()
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// holder starts a process that holds the lock.
func holder(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdLock+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the holder says %q: %v", line, err)
	}
	return cmd
}

func wantLocked(t *testing.T, path string, want bool) {
	t.Helper()
	if got, err := Locked(path); got != want || err != nil {
		t.Errorf("locked is %v (%v), want %v", got, err, want)
	}
}

func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	wantLocked(t, path, false)
	if _, err := os.Lstat(path); err == nil {
		t.Error("looking made the file")
	}
	lock, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	wantLocked(t, path, true)
	if again, err := TryLock(path); !errors.Is(err, ErrLocked) || again != nil {
		t.Errorf("locked twice: %v", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	wantLocked(t, path, false)
	lock, err = TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	lock.Unlock()
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file that is locked: %v %v", fi, err)
	}
	if _, err := TryLock(filepath.Join(t.TempDir(), "none", "run.lock")); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("a lock in a folder that is gone: %v", err)
	}
}

// The lock dies with its holder, however it dies.
func TestLockDiesWithItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	cmd := holder(t, path)
	wantLocked(t, path, true)
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("another process holds it: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	wantLocked(t, path, false)
	lock, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	lock.Unlock()
}

// Of many at once, one wins.
func TestLockOfManyOneWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	var wg sync.WaitGroup
	won := make(chan *Lock, 20)
	for range 20 {
		wg.Go(func() {
			lock, err := TryLock(path)
			if err == nil {
				won <- lock
			} else if !errors.Is(err, ErrLocked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(won)
	if len(won) != 1 {
		t.Errorf("%d hold the lock", len(won))
	}
	for lock := range won {
		lock.Unlock()
	}
}

// Whoever looks, a reader of the status for one, keeps no run from starting and is taken for none by another reader.
func TestLockedDoesNotDisturb(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	put(t, path, "")
	// A reader in the middle of Locked.
	look := func() *os.File {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := flock(file, unix.LOCK_SH|unix.LOCK_NB); err != nil {
			t.Fatal(err)
		}
		return file
	}
	first := look()
	wantLocked(t, path, false)
	time.AfterFunc(5*time.Millisecond, func() { first.Close() })
	lock, err := TryLock(path)
	if err != nil {
		t.Fatalf("a reader was taken for a run: %v", err)
	}
	wantLocked(t, path, true)
	lock.Unlock()
	// One that never ends is no reader.
	reader := look()
	defer reader.Close()
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("locked beside another: %v", err)
	}
}

// Many readers and runs at once, as the tray and a schedule make them.
func TestLockedBesideRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.lock")
	put(t, path, "")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Microsecond):
				}
				if _, err := Locked(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		lock, err := TryLock(path)
		if err != nil {
			t.Errorf("nobody holds it: %v", err)
			break
		}
		lock.Unlock()
	}
	close(stop)
	wg.Wait()
}
