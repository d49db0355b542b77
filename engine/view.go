package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
)

// view is a repository opened for reading, by anybody, with or without local state. It holds no lock: everything in
// a repository is immutable but for what prune removes.
type view struct {
	e      *Engine
	folder onedrive.Folder
	// repos are the copies: OneDrive first, then the mirror where it belongs to the same repository.
	repos    []repository.Repo
	listings []*repository.Listing
	// remote says that the first copy is the one in OneDrive.
	remote bool
	// chunks is where chunks are read from; nil: from every copy.
	chunks *repository.Source
	// fetch downloads what is evicted and needed.
	fetch *fetcher
}

// view opens what there is. The mirror alone will do: the newest backup may be there before OneDrive has it.
func (e *Engine) view() (*view, error) { return e.viewOf(&fetcher{e: e}) }

// viewOf is view with a fetcher that says what becomes of evicted files.
func (e *Engine) viewOf(f *fetcher) (*view, error) {
	v := &view{e: e, fetch: f}
	folder, ferr := e.findOneDrive()
	var repositoryID string
	err := ferr
	if ferr == nil {
		v.folder = folder
		target := e.readTarget(folder)
		v.fetch.attach(&target)
		var d *repository.Descriptor
		if d, err = e.descriptor(target); err == nil {
			repositoryID = d.RepositoryID
		} else if withoutDescriptor(target, err) {
			e.log.Warn().Err(err).Msg("read the repository without its descriptor")
			err = nil
		}
		if err == nil {
			if err = v.add(target); err == nil {
				v.remote = true
			}
		}
		if err != nil {
			err = explain("open the repository", target.Dir, err)
			if !errors.Is(err, repository.ErrNotRepository) {
				return nil, err
			}
		}
	}
	if d, merr := e.mirror().Descriptor(); merr == nil && (repositoryID == "" || d.RepositoryID == repositoryID) {
		if lerr := v.add(e.mirror()); lerr != nil {
			e.log.Warn().Err(lerr).Msg("list the mirror")
		}
	}
	if len(v.repos) == 0 {
		return nil, err
	}
	return v, nil
}

// withoutDescriptor reports whether a repository can be read although its descriptor is damaged or missing: there are backups,
// and each says by itself of which format it is. Nothing is written into one.
func withoutDescriptor(r repository.Repo, err error) bool {
	if !errors.Is(err, repository.ErrDamaged) && !errors.Is(err, repository.ErrNotRepository) {
		return false
	}
	l, err := r.List()
	if err != nil {
		return false
	}
	for _, files := range l.Backups {
		if _, ok := files[repository.ManifestName]; ok {
			return true
		}
	}
	return false
}

// readTarget is target, or the folder itself where that is a repository: an exported one that somebody named. Only reading
// commands take it; nothing is backed up into it.
func (e *Engine) readTarget(folder onedrive.Folder) repository.Repo {
	r := e.target(folder)
	if !exists(r.Path(repository.RepositoryName)) && exists(filepath.Join(folder.Path, repository.RepositoryName)) {
		r.Dir = folder.Path
	}
	return r
}

func (v *view) add(r repository.Repo) error {
	l, err := r.List()
	if err != nil {
		return err
	}
	v.repos = append(v.repos, r)
	v.listings = append(v.listings, l)
	return nil
}

// source reads chunks from every copy. One that is evicted in OneDrive is read from the mirror if it is there, and else
// downloaded.
func (v *view) source() *repository.Source {
	if v.chunks != nil {
		v.chunks.Ready = v.fetch.ready
		return v.chunks
	}
	src := &repository.Source{Ready: v.fetch.ready}
	for _, r := range v.repos {
		src.Dirs = append(src.Dirs, r.Dir)
	}
	src.Choose = func(ref repository.ChunkRef) []string {
		if len(src.Dirs) > 1 && v.e.evicted(v.repos[0].Path(repository.ChunksDir, repository.ChunkName(ref.SHA256))) {
			return append(slices.Clone(src.Dirs[1:]), src.Dirs[0])
		}
		return src.Dirs
	}
	return src
}

// ids returns every backup folder in any copy that has a manifest, newest first.
func (v *view) ids() []string {
	var ids []string
	for _, l := range v.listings {
		for id, files := range l.Backups {
			if _, ok := files[repository.ManifestName]; ok && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids
}

// partial returns the folders that have no manifest: backups still on their way here, or what is left of some.
func (v *view) partial() []string {
	var out []string
	for id, files := range v.listings[0].Backups {
		if _, ok := files[repository.ManifestName]; !ok && !slices.Contains(v.ids(), id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// manifest reads a backup's manifest, from the mirror if it is there: nothing has to be downloaded for that. One that
// agrees with its restore index is preferred, but any that can be read will do to restore by: its content has hashes.
func (v *view) manifest(id string) (*repository.Manifest, []byte, error) {
	return v.firstManifest(id, repository.Repo.CheckedManifest, repository.Repo.ReadManifest)
}

// summary is manifest for its Summary.
func (v *view) summary(id string) (*repository.Manifest, error) {
	m, _, err := v.firstManifest(id, repository.Repo.CheckedSummary, repository.Repo.ReadSummary)
	return m, err
}

// firstManifest reads from the first copy that the first reader accepts, else the second one.
func (v *view) firstManifest(id string, readers ...func(repository.Repo, string) (*repository.Manifest, []byte, error)) (*repository.Manifest, []byte, error) {
	err := repository.ErrMissing
	for _, read := range readers {
		for i, repo := range slices.Backward(v.repos) {
			if _, ok := v.listings[i].Backups[id][repository.ManifestName]; !ok {
				continue
			}
			var m *repository.Manifest
			var raw []byte
			if m, raw, err = read(repo, id); err == nil {
				return m, raw, nil
			}
		}
	}
	return nil, nil, explain("read the manifest of", id, err)
}

// lacks returns what of a backup is in no copy.
func (v *view) lacks(m *repository.Manifest) []string {
	lacks := m.Lacks(v.listings[0])
	for _, l := range v.listings[1:] {
		also := m.Lacks(l)
		lacks = slices.DeleteFunc(lacks, func(name string) bool { return !slices.Contains(also, name) })
	}
	return lacks
}

// readFile reads a file of a backup's folder from the first copy where it is whole.
func (v *view) readFile(m *repository.Manifest, name string) ([]byte, error) {
	var errs []error
	repos := v.repos
	if len(repos) > 1 && v.e.evicted(repos[0].Path(m.BackupID, name)) {
		repos = append(slices.Clone(repos[1:]), repos[0])
	}
	for _, r := range repos {
		b, err := r.ReadFile(m, name)
		if err == nil {
			return b, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (v *view) files(m *repository.Manifest) ([]repository.File, error) {
	b, err := v.readFile(m, repository.FilesName)
	if err != nil {
		return nil, explain("read the file list of", m.BackupID, err)
	}
	files, err := repository.DecodeFiles(b)
	if err != nil {
		return nil, explain("read the file list of", m.BackupID, err)
	}
	return files, nil
}

// resolve returns the backup that a name means: an id, a unique prefix of one (with or without "full_"), or "latest",
// the newest complete one. newer tells what newer ones lack.
func (v *view) resolve(name string) (m *repository.Manifest, raw []byte, newer []string, err error) {
	return v.resolveFor(name, nil)
}

// resolveFor is resolve, but the latest is one that refuse, which may be nil, says nothing against.
func (v *view) resolveFor(name string, refuse func(*repository.Manifest) string) (m *repository.Manifest, raw []byte, newer []string, err error) {
	ids := v.ids()
	if len(ids) == 0 {
		return nil, nil, nil, &Error{Op: "choose a backup", Code: CodeNoBackup, Err: errors.New("there is no backup yet")}
	}
	if name == "" || name == "latest" {
		return v.newestComplete(ids, refuse)
	}
	var match []string
	for _, id := range ids {
		if id == name {
			match = []string{id}
			break
		}
		if strings.HasPrefix(id, name) || strings.HasPrefix(strings.TrimPrefix(id, "full_"), name) {
			match = append(match, id)
		}
	}
	switch {
	case len(match) == 0:
		return nil, nil, nil, &Error{Op: "choose a backup", Code: CodeUnknownBackup, Err: fmt.Errorf("no backup is named %q", name)}
	case len(match) > 1:
		return nil, nil, nil, &Error{Op: "choose a backup", Code: CodeAmbiguous,
			Err: fmt.Errorf("%q could mean %d backups: %s", name, len(match), strings.Join(match[:min(len(match), 5)], ", "))}
	}
	m, raw, err = v.manifest(match[0])
	return m, raw, nil, err
}

func (v *view) newestComplete(ids []string, refuse func(*repository.Manifest) string) (*repository.Manifest, []byte, []string, error) {
	var newer []string
	for _, id := range ids {
		m, raw, err := v.manifest(id)
		if errors.Is(err, repository.ErrNewerFormat) || errors.Is(err, errEvicted) {
			return nil, nil, nil, err
		}
		if err != nil {
			newer = append(newer, fmt.Sprintf("%s cannot be read: %v", id, err))
			continue
		}
		if lacks := v.lacks(m); len(lacks) > 0 {
			newer = append(newer, fmt.Sprintf("%s lacks %d of its files, %s among them", id, len(lacks), lacks[0]))
			continue
		}
		if refuse != nil {
			if why := refuse(m); why != "" {
				newer = append(newer, id+" "+why)
				continue
			}
		}
		return m, raw, newer, nil
	}
	return nil, nil, newer, &Error{Op: "choose a backup", Code: CodeIncomplete,
		Err: fmt.Errorf("of %d backups none is complete here: %s", len(newer), strings.Join(newer[:min(len(newer), 3)], "; "))}
}

// BackupIDs returns the ids of all backups, newest first. It reads no manifest and downloads nothing: a shell asks for it
// while somebody types.
func (e *Engine) BackupIDs() ([]string, error) {
	v, err := e.viewOf(&fetcher{e: e, forbid: true})
	if err != nil {
		return nil, err
	}
	return v.ids(), nil
}

// BackupInfo is a row of the list.
type BackupInfo struct {
	BackupID  string    `json:"backup_id"`
	CreatedAt time.Time `json:"created_at"`
	// Phase is Maia's own phase, from SYSTEM_STATE.md.
	Phase string `json:"maia_phase"`
	// State is complete, local_only (not in OneDrive yet), incomplete or unreadable.
	State       string   `json:"state"`
	Lacks       []string `json:"lacks,omitempty"`
	Status      string   `json:"status,omitempty"`
	Files       int      `json:"files"`
	SourceBytes int64    `json:"source_bytes"`
	// StoredBytes is what it added to the repository, as the backup itself reports it.
	StoredBytes    int64  `json:"stored_bytes"`
	Databases      int    `json:"databases"`
	Warnings       int    `json:"warnings"`
	Vault          bool   `json:"vault"`
	PasswordNumber int    `json:"password_number,omitempty"`
	Error          string `json:"error,omitempty"`
}

// States of a backup in the list.
const (
	StateComplete   = "complete"
	StateLocalOnly  = "local_only"
	StateIncomplete = "incomplete"
	StateUnreadable = "unreadable"
)

// ListResult is what the repository holds, newest backup first.
type ListResult struct {
	Repository string       `json:"repository"`
	Backups    []BackupInfo `json:"backups"`
	// Partial are folders without a manifest: no backups (yet). Foreign are names that do not belong there.
	Partial []string `json:"partial,omitempty"`
	Foreign []string `json:"foreign,omitempty"`
	// TotalBytes is what the repository in OneDrive takes up.
	TotalBytes int64 `json:"total_bytes"`
}

// List lists the backups. It reads no chunk, and in OneDrive only manifests that this machine has no copy of.
func (e *Engine) List() (*ListResult, error) {
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	out := &ListResult{Repository: v.repos[0].Dir, Backups: []BackupInfo{}, Partial: v.partial(), Foreign: v.listings[0].Foreign}
	for _, id := range v.ids() {
		info, foreign := v.info(id)
		out.Backups = append(out.Backups, info)
		out.Foreign = append(out.Foreign, foreign...)
	}
	out.TotalBytes = totalBytes(v.listings[0])
	return out, nil
}

func totalBytes(l *repository.Listing) int64 {
	var n int64
	for _, size := range l.Chunks {
		n += size
	}
	for _, size := range l.Top {
		n += size
	}
	for _, files := range l.Backups {
		for _, size := range files {
			n += size
		}
	}
	return n
}

// info describes a backup, and names what lies in its folder that its manifest does not name: conflict copies above
// all.
func (v *view) info(id string) (i BackupInfo, foreign []string) {
	m, err := v.summary(id)
	if err != nil {
		at, _ := repository.IDTime(id)
		return BackupInfo{BackupID: id, CreatedAt: at, State: StateUnreadable, Error: err.Error()}, nil
	}
	i = BackupInfo{
		BackupID: id, CreatedAt: m.CreatedAt, Phase: systemOf(m).MaiaPhase, State: StateComplete, Status: m.Status,
		Files: m.Stats.SourceFiles, SourceBytes: m.Stats.SourceBytes, StoredBytes: v.storedBytes(m),
		Databases: m.Stats.Databases, Warnings: len(m.Warnings), PasswordNumber: m.PasswordNumber,
	}
	_, i.Vault = m.Components["secrets"]
	if lacks := v.lacks(m); len(lacks) > 0 {
		i.State, i.Lacks = StateIncomplete, lacks
	} else if !v.remote || len(m.Lacks(v.listings[0])) > 0 {
		i.State = StateLocalOnly
	}
	return i, v.foreignIn(m)
}

// storedBytes is what a backup added to the repository: what its manifest counts, and the files that come after that.
func (v *view) storedBytes(m *repository.Manifest) int64 {
	n := m.Stats.StoredBytes
	for _, name := range []string{repository.ManifestName, repository.RestoreIndexName, repository.MACName} {
		for _, l := range v.listings {
			if size, ok := l.Backups[m.BackupID][name]; ok {
				n += size
				break
			}
		}
	}
	return n
}

// foreignIn names what lies in a backup's folder that its manifest does not name.
func (v *view) foreignIn(m *repository.Manifest) (foreign []string) {
	for name := range v.listings[0].Backups[m.BackupID] {
		if !m.Names(name) {
			foreign = append(foreign, m.BackupID+"/"+name)
		}
	}
	slices.Sort(foreign)
	return foreign
}

// Show is everything about one backup.
type Show struct {
	BackupInfo
	Manifest *repository.Manifest `json:"manifest"`
	Files    []repository.File    `json:"file_list,omitempty"`
	Newer    []string             `json:"newer_incomplete,omitempty"`
	// places are those of the file list, if that was read.
	places map[string]bool
}

// Kept says in words what the backup has of a secret-bearing file. Its file list must have been read.
func (s *Show) Kept(f *repository.SecretRef) string { return keptOf(f, s.places) }

// Show reads one backup; with files also its file list.
func (e *Engine) Show(name string, files bool) (*Show, error) {
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	m, _, newer, err := v.resolve(name)
	if err != nil {
		return nil, err
	}
	info, _ := v.info(m.BackupID)
	s := &Show{BackupInfo: info, Manifest: m, Newer: newer}
	if files {
		s.Files, err = v.files(m)
		s.places = placesOf(s.Files)
	}
	return s, err
}

// dirExists reports whether path is a folder.
func dirExists(path string) (bool, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && fi.IsDir(), err
}
