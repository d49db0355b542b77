package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/config"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// Options say what an Engine works on. The zero value finds everything.
type Options struct {
	// MaiaRoot, OneDrivePath and StateDir are the flags; empty: found.
	MaiaRoot, OneDrivePath, StateDir string
	Config                           config.Config
	Version                          string
	// Script is restore_maia.sh.
	Script []byte
	FS     *fsx.FS
	Sink   event.Sink
	Log    zerolog.Logger
	// Run runs the tools that list packages; nil: the real ones.
	Run component.Runner
	// Password returns the vault password for a backup, ErrNoPassword where there is none; nil: there is none.
	Password func(context.Context) (vault.Password, error)
	// LoadAgent has launchd run the agent of this label from now on, from its property list; nil: no agent is loaded.
	LoadAgent func(ctx context.Context, label, path string) error
	// KeychainItem returns the secret of the Keychain item with this service; nil: there is no Keychain.
	KeychainItem func(ctx context.Context, service string) ([]byte, error)
	// Provider makes the source that is asked about the upload of the files in a OneDrive folder; nil: the system's.
	Provider func(folder string) onedrive.Provider
	// Helper is how this program starts itself as a child, for what may hang or crash.
	Helper onedrive.Helper
	// DownloadStall is how long nothing may come of a download before it is given up; 0: onedrive.DownloadStall.
	DownloadStall time.Duration
	// Evicted reports whether a file's content lies in the cloud only; nil: what the file system says.
	Evicted func(path string) bool
}

// Engine backs up, verifies and restores. One verb at a time; the run lock keeps other processes out.
type Engine struct {
	env   Env
	opt   Options
	fs    *fsx.FS
	log   zerolog.Logger
	state state.Dir

	// leaky stores secret-bearing files in the plain, as they are: tests show with it that the scan finds them all.
	leaky bool

	// pieceBytes is the size of a piece of a database that is exported; 0: 50 MiB.
	pieceBytes int64

	// manifests are shared by all that read them; held keeps those of the last backup decoded, for who asks for the status
	// after it.
	manifests repository.Manifests
	held      []*repository.Manifest

	// laps measures the phases of a drill.
	laps *laps

	statusMu sync.Mutex
	status   *state.Status
	lastSave time.Time
}

// New returns an Engine. It touches nothing yet.
func New(env Env, opt Options) *Engine {
	dir := opt.StateDir
	if dir == "" {
		dir = env.Getenv("MAIA_DR_STATE_DIR")
	}
	if dir == "" {
		dir = defaultStateDir(env)
	}
	return &Engine{env: env, opt: opt, fs: opt.FS, log: opt.Log, state: state.Dir{Path: dir, FS: opt.FS}}
}

func defaultStateDir(env Env) string {
	if runtime.GOOS == "darwin" {
		return filepath.Join(env.Home, "Library", "Application Support", "Maia Recovery")
	}
	if dir := env.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "maia-dr")
	}
	return filepath.Join(env.Home, ".local", "state", "maia-dr")
}

// State returns the state directory.
func (e *Engine) State() state.Dir { return e.state }

func (e *Engine) now() time.Time { return e.env.Now() }

func (e *Engine) emit(ev event.Event) {
	if e.opt.Sink != nil {
		e.opt.Sink(ev)
	}
}

// findRoot returns the Maia root.
func (e *Engine) findRoot() (string, error) {
	root, tried, err := component.FindRoot(component.FindRootOptions{
		Flag: e.opt.MaiaRoot, Config: e.opt.Config.MaiaRoot, Home: e.env.Home, Cwd: e.env.Cwd, Getenv: e.env.Getenv,
	})
	if err == nil {
		return root, nil
	}
	out := &Error{Op: "find the Maia root", Code: CodeNoRoot, Err: err}
	if len(tried) > 0 {
		out.Err = &triedError{err: err, tried: tried}
	}
	return "", out
}

type triedError struct {
	err   error
	tried []string
}

func (t *triedError) Error() string {
	return t.err.Error() + "; tried " + strings.Join(t.tried, ", ")
}

func (t *triedError) Unwrap() error { return t.err }

// target returns the repository in the OneDrive folder.
func (e *Engine) target(folder onedrive.Folder) repository.Repo {
	return repository.Repo{Dir: filepath.Join(folder.Path, repository.DirName), FS: e.fs, Staging: e.state.Staging(), Manifests: &e.manifests}
}

func (e *Engine) mirror() repository.Repo {
	return repository.Repo{Dir: e.state.Mirror(), FS: e.fs, Manifests: &e.manifests}
}

// explain gives an error from the file system its code, so that the user is told what to do.
func explain(op, path string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	out := &Error{Op: op, Path: path, Code: CodeFailed, Err: err}
	switch {
	case errors.Is(err, context.Canceled):
		out.Code, out.Path, out.Err = CodeCancelled, "", errors.New("cancelled")
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		out.Code = CodeDiskFull
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
		out.Code = CodeReadOnly
		if errors.Is(err, unix.EPERM) && runtime.GOOS == "darwin" {
			out.Hint = "macOS privacy protection refused it: allow access in System Settings, Privacy & Security, Files and Folders"
		}
	case errors.Is(err, repository.ErrNewerFormat):
		out.Code = CodeNewerFormat
	case errors.Is(err, repository.ErrNotRepository):
		out.Code = CodeNoRepository
	case errors.Is(err, repository.ErrDamaged):
		out.Code = CodeDamaged
	case errors.Is(err, errEvicted):
		out.Code = CodeEvicted
	case errors.Is(err, repository.ErrMissing):
		out.Code = CodeIncomplete
	case errors.Is(err, fsx.ErrLocked):
		out.Code = CodeBusy
	}
	return out
}

// begin takes the lock, cleans up after killed runs and opens the status. The function it returns ends the run:
// it records the outcome and frees the lock.
func (e *Engine) begin(kind string) (end func(*state.HistoryEntry, error), err error) {
	if err := e.state.Create(); err != nil {
		return nil, explain("begin "+kind, e.state.Path, err)
	}
	lock, err := e.state.Lock()
	if errors.Is(err, fsx.ErrLocked) {
		return nil, &Error{Op: "begin " + kind, Code: CodeBusy, Err: e.whoIsActive(err)}
	}
	if err != nil {
		return nil, explain("begin "+kind, "", err)
	}
	if err := e.removeLeftovers(); err != nil {
		lock.Unlock()
		return nil, explain("begin "+kind, e.state.Path, err)
	}
	started := e.now()
	e.status = e.state.LoadStatus()
	e.status.Run = &state.Run{Kind: kind, StartedAt: started.UTC(), PID: e.env.PID, UpdatedAt: started.UTC()}
	if err := e.state.WriteStatus(e.status); err != nil {
		lock.Unlock()
		return nil, explain("begin "+kind, e.state.Path, err)
	}
	e.log.Info().Str("run", kind).Msg("begin")
	return func(h *state.HistoryEntry, err error) {
		defer lock.Unlock()
		e.finish(kind, started, h, err)
	}, nil
}

// whoIsActive says which run holds the lock, where its status tells.
func (e *Engine) whoIsActive(err error) error {
	if st, _, serr := e.state.ReadStatus(); serr == nil && st.Run != nil {
		return fmt.Errorf("a %s has been running since %s: %w", st.Run.Kind, st.Run.StartedAt.Local().Format("15:04:05"), err)
	}
	return err
}

// removeLeftovers removes what killed runs left in the state directory, by the names that it has: somebody may have named a
// folder that has other things in it.
func (e *Engine) removeLeftovers() error {
	left, err := e.state.Passing()
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := e.removeTree(filepath.Join(e.state.Path, name)); err != nil {
			return err
		}
	}
	if err := e.removeTemps(); err != nil {
		return err
	}
	mirror := e.mirror()
	if err := e.fs.RemoveTemps(mirror.Dir); err != nil {
		return err
	}
	if err := e.fs.RemoveTemps(mirror.Path(repository.ChunksDir)); err != nil {
		return err
	}
	entries, err := os.ReadDir(mirror.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() || !repository.IsID(entry.Name()) {
			continue
		}
		_, err := os.Lstat(mirror.Path(entry.Name(), repository.ManifestName))
		if errors.Is(err, fs.ErrNotExist) {
			// Never committed, so never published either.
			err = e.fs.RemoveAll(mirror.Path(entry.Name()))
		} else {
			err = e.fs.RemoveTemps(mirror.Path(entry.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeTemps removes the leftovers of killed writes beside the state files, unless somebody who watches an upload is about
// to write there; then the next run does it.
func (e *Engine) removeTemps() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	lock, err := e.state.LockLedger(ctx)
	if errors.Is(err, fsx.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Unlock()
	left, err := e.state.Temporary()
	for _, name := range left {
		if rerr := e.fs.Remove(filepath.Join(e.state.Path, name)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return rerr
		}
	}
	return err
}

// removeTree removes a folder of the scratch, also where a restore has given folders in it modes that forbid that.
func (e *Engine) removeTree(path string) error {
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if d == nil || !d.IsDir() {
			return nil
		}
		if fi, ierr := d.Info(); ierr == nil && fi.Mode().Perm()&0o700 != 0o700 {
			if err == nil || errors.Is(err, fs.ErrPermission) {
				return e.fs.Chmod(path, 0o700)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return e.fs.RemoveAll(path)
}

func (e *Engine) finish(kind string, started time.Time, h *state.HistoryEntry, err error) {
	e.statusMu.Lock()
	defer e.statusMu.Unlock()
	now := e.now()
	if h == nil {
		h = &state.HistoryEntry{}
	}
	h.Time, h.Kind, h.Seconds = now.UTC(), kind, now.Sub(started).Seconds()
	e.status.Run = nil
	if err != nil {
		h.Result, h.Error = "failed", err.Error()
		code := CodeOf(err)
		if code == CodeCancelled {
			h.Result = "cancelled"
		}
		f := &state.Failure{Kind: kind, At: now.UTC(), Code: string(code), Error: err.Error()}
		if known, ok := errors.AsType[*Error](err); ok {
			f.Hint = known.Advice()
		}
		if kind == "backup" {
			e.status.LastFailure = f
		}
		e.log.Error().Str("run", kind).Str("code", string(code)).Err(err).Msg("failed")
	} else {
		e.log.Info().Str("run", kind).Str("result", h.Result).Float64("seconds", h.Seconds).Msg("done")
	}
	// The run's outcome stands whether or not these two can be written; a full disk must not turn it around.
	if werr := e.state.WriteStatus(e.status); werr != nil {
		e.log.Error().Err(werr).Msg("write status")
	}
	if werr := e.state.AppendHistory(*h); werr != nil {
		e.log.Error().Err(werr).Msg("write history")
	}
}

// phase announces a part of the run.
func (e *Engine) phase(p event.Phase, total int64) {
	e.statusMu.Lock()
	if e.status != nil && e.status.Run != nil {
		r := e.status.Run
		r.Phase, r.DoneBytes, r.TotalBytes, r.UpdatedAt = p, 0, total, e.now().UTC()
		e.lastSave = e.now()
		if err := e.state.WriteStatus(e.status); err != nil {
			e.log.Warn().Err(err).Msg("write status")
		}
	}
	e.statusMu.Unlock()
	if e.laps != nil {
		e.laps.begin(p, e.now())
	}
	e.log.Debug().Str("phase", string(p)).Msg("phase")
	e.emit(event.Event{Kind: event.PhaseStarted, Phase: p, Total: total})
}

// progress tells how far the phase is; the status file is written at most twice a second.
func (e *Engine) progress(p event.Phase, done, total int64) {
	e.statusMu.Lock()
	if e.status != nil && e.status.Run != nil {
		if now := e.now(); now.Sub(e.lastSave) >= 500*time.Millisecond || now.Before(e.lastSave) {
			r := e.status.Run
			r.Phase, r.DoneBytes, r.TotalBytes, r.UpdatedAt = p, done, total, now.UTC()
			e.lastSave = now
			if err := e.state.WriteStatus(e.status); err != nil {
				e.log.Warn().Err(err).Msg("write status")
			}
		}
	}
	e.statusMu.Unlock()
	e.emit(event.Event{Kind: event.Progress, Phase: p, Done: done, Total: total})
}

func (e *Engine) warn(w repository.Warning) {
	e.log.Warn().Str("code", w.Code).Str("path", string(w.Path)).Msg(w.Text)
	e.emit(event.Event{Kind: event.Warned, Warning: &w})
}

func (e *Engine) note(text string) {
	e.log.Info().Msg(text)
	e.emit(event.Event{Kind: event.Note, Text: text})
}
