package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// session is a repository opened by its writer, under the run lock.
type session struct {
	e              *Engine
	folder         onedrive.Folder
	target, mirror repository.Repo
	id             *state.Identity
	descriptor     *repository.Descriptor
	writer         int
	// claimed is the writer file of that number.
	claimed *repository.Writer
	// listing is what lies in OneDrive, by name and size only.
	listing *repository.Listing
	// catalogue is every backup this writer made or adopted, oldest first; summaries, but for the newest in a backup.
	catalogue []*repository.Manifest
	// unreadable are backups of the catalogue of which no copy says reliably what they consist of. They are kept, and so
	// is everything they may need.
	unreadable []unreadable
}

type unreadable struct {
	id  string
	err error
}

// open finds the repository, makes sure that this machine may write to it, and lists it. create allows a new one,
// adopt takes over somebody else's.
func (e *Engine) open(create, adopt bool) (*session, error) {
	folder, err := e.findOneDrive()
	if err != nil {
		return nil, err
	}
	if e.readTarget(folder).Dir == folder.Path {
		return nil, &Error{Op: "open the repository", Path: folder.Path, Code: CodeUsage, Err: errors.New("this folder is itself a repository: an exported backup, or MaiaBackups"),
			Hint: "name the OneDrive folder, in which MaiaBackups lies, with --onedrive-path DIR"}
	}
	id, err := e.state.Identity(e.env.Random)
	if err != nil {
		return nil, &Error{Op: "open the state directory", Path: e.state.Path, Code: CodeState, Err: err}
	}
	s := &session{e: e, folder: folder, target: e.target(folder), mirror: e.mirror(), id: id}
	// A daily run reads nothing back from OneDrive. Who adopts, asks for what is there.
	(&fetcher{e: e, forbid: !adopt}).attach(&s.target)
	if err := s.openRepository(create); err != nil {
		return nil, explain("open the repository", s.target.Dir, err)
	}
	if s.listing, err = s.target.List(); err != nil {
		return nil, explain("list the repository", s.target.Dir, err)
	}
	adopted, err := s.claim(adopt)
	if err != nil {
		return nil, explain("open the repository", s.target.Dir, err)
	}
	if err := s.openMirror(adopted); err != nil {
		return nil, explain("open the local mirror", s.mirror.Dir, err)
	}
	if err := s.loadCatalogue(); err != nil {
		return nil, explain("read the catalogue", s.mirror.Dir, err)
	}
	if id.RepositoryID != s.descriptor.RepositoryID || id.OneDrivePath != folder.Path || id.Writer == nil || *id.Writer != *s.claimed {
		id.Writer = s.claimed
		id.RepositoryID, id.OneDrivePath = s.descriptor.RepositoryID, folder.Path
		if err := e.state.SaveIdentity(id); err != nil {
			return nil, explain("remember the repository", e.state.Path, err)
		}
	}
	return s, nil
}

func (s *session) openRepository(create bool) error {
	d, err := s.e.descriptor(s.target)
	if err == nil {
		s.descriptor = d
		return nil
	}
	if !errors.Is(err, repository.ErrNotRepository) {
		return err
	}
	if s.id.RepositoryID != "" {
		return s.e.repositoryGone(s.folder, errors.New("repository.json, which was there before, is gone"))
	}
	if l, err := s.target.List(); err == nil && (len(l.Chunks) > 0 || len(l.Backups) > 0) {
		return &Error{Op: "open the repository", Path: s.target.Dir, Code: CodeRepositoryGone,
			Err: errors.New("there are backups here but no repository.json")}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !create {
		return repository.ErrNotRepository
	}
	return s.createRepository()
}

func (s *session) createRepository() error {
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.e.env.Random, id); err != nil {
		return err
	}
	s.descriptor = &repository.Descriptor{
		Format: repository.Format, RepositoryID: hex.EncodeToString(id), Encryption: "none",
		CreatedAt: s.e.now().UTC().Truncate(time.Second),
	}
	if err := s.target.Init(*s.descriptor); err != nil {
		return err
	}
	return s.e.fs.SyncDir(s.folder.Path)
}

func (e *Engine) hardwareSHA256() string {
	id := e.env.HardwareID()
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("maia-dr hardware " + id))
	return hex.EncodeToString(sum[:])
}

// owns reports whether a writer file is that of this state directory on this machine.
func (s *session) owns(w *repository.Writer) bool {
	hardware := s.e.hardwareSHA256()
	return w.StateID == s.id.StateID && (w.HardwareSHA256 == hardware || w.HardwareSHA256 == "" || hardware == "")
}

func (s *session) foreignWriter(w *repository.Writer) error {
	if w == nil {
		return &Error{Op: "open the repository", Path: s.target.Dir, Code: CodeForeignWriter,
			Err:  errors.New("there are backups in it, but nothing says that this installation may write to it"),
			Hint: "wait until OneDrive has synced; if this machine should take over, run `maia-dr backup --adopt`"}
	}
	return &Error{Op: "open the repository", Path: s.target.Dir, Code: CodeForeignWriter,
		Err: fmt.Errorf("it is written by %s since %s, not by this installation", quoteHost(w.Hostname), w.CreatedAt.Local().Format("2 January 2006"))}
}

// writerFile returns the writer file that counts. One that is evicted and that this state directory has read before is not
// downloaded for that: it never changes.
func (s *session) writerFile() (*repository.Writer, error) {
	n, err := s.target.WriterNumber()
	if err != nil {
		return nil, err
	}
	if known := s.id.Writer; known != nil && n == known.Number && s.e.evicted(s.target.Path(repository.WriterName(n))) {
		return known, nil
	}
	return s.target.Writer()
}

// claim makes sure that this state directory on this machine is the repository's one writer.
func (s *session) claim(adopt bool) (adopted bool, err error) {
	w, err := s.writerFile()
	if err != nil {
		return false, err
	}
	number, fresh := 1, len(s.listing.Backups) == 0 && len(s.listing.Chunks) == 0
	switch {
	case w != nil && s.owns(w) && (s.id.RepositoryID == "" || s.id.RepositoryID == s.descriptor.RepositoryID):
		s.writer, s.claimed = w.Number, w
		return false, nil
	case w == nil && (fresh || s.id.RepositoryID == s.descriptor.RepositoryID):
		// A new repository, or our own whose writer file is gone.
	case !adopt:
		// Without a writer file it may be another machine's that has not been synced in full.
		return false, s.foreignWriter(w)
	default:
		if w != nil {
			number = w.Number + 1
		}
		// Before the claim: a run that is killed in between begins the mirror anew in any case.
		adopted = true
		if err := s.emptyMirror(); err != nil {
			return false, err
		}
	}
	s.writer = number
	nw := repository.Writer{
		Format: repository.Format, Number: number, StateID: s.id.StateID, HardwareSHA256: s.e.hardwareSHA256(),
		Hostname: s.e.env.Hostname, CreatedAt: s.e.now().UTC().Truncate(time.Second),
	}
	s.claimed = &nw
	return adopted, s.target.WriteJSON(repository.WriterName(number), nw)
}

func quoteHost(h string) string {
	if h == "" {
		return "another machine"
	}
	return h
}

// openMirror makes sure that the mirror belongs to this repository. An adopted repository starts with an empty one,
// so that nothing refers to a chunk of a former writer. A mirror whose descriptor is gone keeps what it holds: a
// backup may lie there that OneDrive does not have yet.
func (s *session) openMirror(adopted bool) error {
	d, err := s.mirror.Descriptor()
	if err == nil && d.RepositoryID == s.descriptor.RepositoryID && !adopted {
		// A power cut may have left the descriptor and taken the folder that was made before it.
		if err := s.e.fs.Mkdir(s.mirror.Path(repository.ChunksDir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
	if err != nil && !errors.Is(err, repository.ErrNotRepository) && !errors.Is(err, repository.ErrDamaged) {
		return err
	}
	if err == nil && !adopted {
		if err := s.emptyMirror(); err != nil {
			return err
		}
	}
	for _, path := range []string{s.e.state.BlockIndex(), s.e.state.StatCache(), s.mirror.Path(repository.RepositoryName)} {
		if err := s.e.fs.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := s.e.fs.MkdirAll(s.mirror.Dir, 0o700); err != nil {
		return err
	}
	// The descriptor comes last: an import that was cut off is taken up again.
	if err := s.importCatalogue(); err != nil {
		return err
	}
	return s.mirror.Init(*s.descriptor)
}

// emptyMirror forgets a mirror that is not, or no longer, of this writer's repository, with what was meant to be pruned
// there.
func (s *session) emptyMirror() error {
	for _, path := range []string{s.e.state.BlockIndex(), s.e.state.StatCache(), s.mirror.Dir} {
		if err := s.e.fs.RemoveAll(path); err != nil {
			return err
		}
	}
	return s.e.state.SavePruneJournal(nil)
}

// importCatalogue copies the small files of the backups in OneDrive into the mirror. What cannot be read stays
// foreign, which keeps its chunks from being pruned.
func (s *session) importCatalogue() error {
	for _, id := range s.listing.IDs() {
		if _, _, err := s.mirror.CheckedManifest(id); err == nil {
			continue
		}
		m, raw, err := s.target.CheckedManifest(id)
		if err != nil {
			s.e.note(fmt.Sprintf("%s cannot be read and is left alone: %v", id, err))
			continue
		}
		if err := s.importBackup(m, raw); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) importBackup(m *repository.Manifest, raw []byte) error {
	if err := s.e.fs.MkdirAll(s.mirror.Path(m.BackupID), 0o700); err != nil {
		return err
	}
	names := []string{repository.RestoreIndexName, repository.MACName}
	for _, f := range m.Files {
		names = append(names, f.Path)
	}
	for _, name := range names {
		read := s.target.ReadFile
		if name == repository.RestoreIndexName || name == repository.MACName {
			read = func(m *repository.Manifest, name string) ([]byte, error) { return s.target.ReadSmall(m.BackupID, name) }
		}
		b, err := read(m, name)
		if errors.Is(err, repository.ErrMissing) || errors.Is(err, repository.ErrDamaged) {
			// A backup that lacks something is kept with what it has.
			continue
		}
		if err != nil {
			return err
		}
		if err := s.mirror.WriteFile(m.BackupID+"/"+name, b); err != nil {
			return err
		}
	}
	return s.mirror.WriteFile(m.BackupID+"/"+repository.ManifestName, raw)
}

func (s *session) loadCatalogue() error {
	l, err := s.mirror.List()
	if err != nil {
		return err
	}
	type found struct {
		m   *repository.Manifest
		err error
	}
	ids := l.IDs()
	all := make([]found, len(ids))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, id := range ids {
		g.Go(func() error {
			all[i].m, _, all[i].err = s.mirror.CheckedSummary(id)
			return nil
		})
	}
	_ = g.Wait() // no function fails
	for i, id := range ids {
		m, err := all[i].m, all[i].err
		if err != nil && !errors.Is(err, repository.ErrNewerFormat) {
			// Its twin in OneDrive may be whole.
			if twin, raw, terr := s.target.CheckedManifest(id); terr == nil {
				if err := s.importBackup(twin, raw); err != nil {
					return err
				}
				m, err = twin.Summary(), nil
			}
		}
		switch {
		case errors.Is(err, repository.ErrNewerFormat):
			return fmt.Errorf("%s: %w", id, err)
		case err != nil:
			s.unreadable = append(s.unreadable, unreadable{id, err})
		default:
			s.catalogue = append(s.catalogue, m)
		}
	}
	return nil
}

// wholeNewest takes the whole manifest of the newest backup of the catalogue in the place of its summary: what a backup is made on.
func (s *session) wholeNewest() error {
	n := len(s.catalogue)
	if n == 0 {
		return nil
	}
	m, _, err := s.mirror.CheckedManifest(s.catalogue[n-1].BackupID)
	if err != nil {
		return err
	}
	s.catalogue[n-1] = m
	return nil
}

// last returns the newest backup of the catalogue, or nil.
func (s *session) last() *repository.Manifest {
	if len(s.catalogue) == 0 {
		return nil
	}
	return s.catalogue[len(s.catalogue)-1]
}

// allIDs returns every id that the repository or the catalogue has seen.
func (s *session) allIDs() []string {
	ids := s.listing.IDs()
	for _, m := range s.catalogue {
		ids = append(ids, m.BackupID)
	}
	for _, u := range s.unreadable {
		ids = append(ids, u.id)
	}
	return ids
}

// wanted returns the chunks that the mirror has to hold: those of the last two backups, and of every backup that
// OneDrive does not hold in full yet.
func (s *session) wanted() map[repository.Hash]bool {
	keep := map[repository.Hash]bool{}
	for i, m := range s.catalogue {
		if i < len(s.catalogue)-2 && len(m.Lacks(s.listing)) == 0 {
			continue
		}
		for _, ref := range m.Chunks {
			keep[ref.SHA256] = true
		}
	}
	return keep
}

// trimMirror removes from the mirror the chunks nobody needs there: those of older backups, and leftovers of runs
// that never reached their manifest. What a backup that cannot be read needs, nobody knows.
func (s *session) trimMirror() error {
	if len(s.unreadable) > 0 {
		return nil
	}
	l, err := s.mirror.List()
	if err != nil {
		return err
	}
	keep := s.wanted()
	for h := range l.Chunks {
		if keep[h] {
			continue
		}
		if err := s.e.fs.Remove(s.mirror.Path(repository.ChunksDir, repository.ChunkName(h))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("trim the mirror: %w", err)
		}
	}
	return nil
}
