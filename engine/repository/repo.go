package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"maia-dr/engine/fsx"
)

// Repo is a folder in repository format: the one in OneDrive, or the mirror.
type Repo struct {
	Dir string
	FS  *fsx.FS
	// Staging is where WriteFile has its temporary files: in OneDrive, what a crash leaves would stay for ever. Empty:
	// beside the file.
	Staging string
	// Manifests, if set, shares what ReadManifest returns.
	Manifests *Manifests
	// Ready, if set, is called before a file is read, and returns when that will not wait for a download; its error is
	// that of the reading.
	Ready func(path string) error
}

// AwaitReady calls Ready for a file that somebody else is going to read.
func (r Repo) AwaitReady(path string) error {
	if r.Ready == nil {
		return nil
	}
	return r.Ready(path)
}

func (r Repo) readSmall(path string, limit int64) ([]byte, error) {
	if err := r.AwaitReady(path); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return readSmall(path, limit)
}

// Descriptor is repository.json, written once.
type Descriptor struct {
	Format       int       `json:"format"`
	RepositoryID string    `json:"repository_id"`
	Encryption   string    `json:"encryption"`
	CreatedAt    time.Time `json:"created_at"`
}

// Writer is a writer-NNNN.json, written once: the one with the highest number may write.
type Writer struct {
	Format  int    `json:"format"`
	Number  int    `json:"writer"`
	StateID string `json:"state_id"`
	// HardwareSHA256 is a hash of the machine's hardware id; empty where it has none.
	HardwareSHA256 string    `json:"hardware_sha256"`
	Hostname       string    `json:"hostname"`
	CreatedAt      time.Time `json:"created_at"`
}

// Path joins names to the repository's folder.
func (r Repo) Path(elem ...string) string {
	return filepath.Join(append([]string{r.Dir}, elem...)...)
}

// Descriptor reads repository.json. ErrNotRepository: there is none.
func (r Repo) Descriptor() (*Descriptor, error) {
	b, err := r.readSmall(r.Path(RepositoryName), 1<<20)
	if errors.Is(err, ErrMissing) {
		return nil, ErrNotRepository
	}
	if err != nil {
		return nil, err
	}
	d := new(Descriptor)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("read %s: %v: %w", RepositoryName, err, ErrDamaged)
	}
	if d.Format > Format {
		return nil, fmt.Errorf("repository has format %d, this program knows %d: %w", d.Format, Format, ErrNewerFormat)
	}
	if d.Format < 1 || !idDigits.MatchString(d.RepositoryID) || d.Encryption != "none" {
		return nil, fmt.Errorf("read %s: %w", RepositoryName, ErrDamaged)
	}
	return d, nil
}

// Init makes the folder a repository. One that is a repository already is an error.
func (r Repo) Init(d Descriptor) error {
	if _, err := os.Lstat(r.Path(RepositoryName)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make repository: %s: %w", r.Path(RepositoryName), errors.Join(err, fs.ErrExist))
	}
	// Not its parents: a OneDrive folder that has vanished must not come back as an empty look-alike.
	for _, dir := range []string{r.Dir, r.Path(ChunksDir)} {
		if err := r.FS.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make repository: %w", err)
		}
	}
	return r.WriteJSON(RepositoryName, d)
}

// WriteJSON durably writes a small JSON file at the top of the repository.
func (r Repo) WriteJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return r.WriteFile(name, append(b, '\n'))
}

// WriteFile durably writes a small file; name is relative to the repository.
func (r Repo) WriteFile(name string, b []byte) error {
	dir, file := filepath.Split(name)
	return r.WriteFiles(dir, map[string][]byte{file: b})
}

// WriteFiles durably writes small files of one folder, which must exist; dir is relative to the repository. When it
// fails, some may have been written.
func (r Repo) WriteFiles(dir string, files map[string][]byte) error {
	staging := r.Staging
	if staging == "" {
		staging = r.Path(dir)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := r.FS.WriteSynced(staging, r.Path(dir, name), 0o600, func(w io.Writer) error {
			_, err := w.Write(files[name])
			return err
		})
		if err != nil {
			return fmt.Errorf("write %s: %w", filepath.Join(dir, name), err)
		}
	}
	if err := r.FS.SyncDir(r.Path(dir)); err != nil {
		return fmt.Errorf("write %s: %w", r.Path(dir), err)
	}
	return nil
}

// WriterName returns the file name of the writer with number n.
func WriterName(n int) string { return fmt.Sprintf("writer-%04d.json", n) }

// WriterNumber returns the highest number of a writer file; 0: there is none. It reads no file.
func (r Repo) WriterNumber() (int, error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return 0, err
	}
	highest := 0
	for _, e := range entries {
		if m := writerPattern.FindStringSubmatch(e.Name()); m != nil {
			n, _ := strconv.Atoi(m[1])
			highest = max(highest, n)
		}
	}
	return highest, nil
}

// Writer reads the writer file with the highest number. It is nil where there is none.
func (r Repo) Writer() (*Writer, error) {
	highest, err := r.WriterNumber()
	if highest == 0 || err != nil {
		return nil, err
	}
	b, err := r.readSmall(r.Path(WriterName(highest)), 1<<20)
	if err != nil {
		return nil, err
	}
	w := new(Writer)
	if err := json.Unmarshal(b, w); err != nil {
		return nil, fmt.Errorf("read %s: %v: %w", WriterName(highest), err, ErrDamaged)
	}
	if w.Format > Format {
		return nil, fmt.Errorf("read %s: %w", WriterName(highest), ErrNewerFormat)
	}
	if w.Number != highest {
		return nil, fmt.Errorf("read %s: it says %d: %w", WriterName(highest), w.Number, ErrDamaged)
	}
	return w, nil
}

// Listing is what lies in a repository by name and size. Making one reads no file: in OneDrive that could mean a
// download.
type Listing struct {
	// Backups maps a backup's id to the sizes of the files in its folder.
	Backups map[string]map[string]int64
	Chunks  map[Hash]int64
	// Top are the sizes of the repository's own files at the top.
	Top map[string]int64
	// Foreign are names outside the format: conflict copies, strangers. They are reported and kept.
	Foreign []string
}

// List lists the repository. A folder that cannot be listed in full is an error, never an empty listing.
func (r Repo) List() (*Listing, error) {
	l := &Listing{Backups: map[string]map[string]int64{}, Chunks: map[Hash]int64{}, Top: map[string]int64{}}
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("list repository: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir() && name == ChunksDir:
			err = l.listChunks(r.Path(name))
		case e.IsDir() && IsID(name):
			l.Backups[name], err = l.listBackup(r.Path(name), name)
		case !e.IsDir() && (name == RepositoryName || name == ReadmeName || name == ScriptName || writerPattern.MatchString(name)):
			l.Top[name], err = entrySize(e)
		case folderDust(name):
		default:
			l.Foreign = append(l.Foreign, name)
		}
		if err != nil {
			return nil, fmt.Errorf("list repository: %w", err)
		}
	}
	slices.Sort(l.Foreign)
	return l, nil
}

// folderDust reports whether a name is one that Finder or OneDrive puts into any folder.
func folderDust(name string) bool { return name == ".DS_Store" || name == "desktop.ini" }

// entrySize returns a listed file's size, -1 if it vanished since or is no plain file.
func entrySize(e fs.DirEntry) (int64, error) {
	fi, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (l *Listing) listChunks(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		h, ok := parseChunkName(e.Name())
		if !ok || e.IsDir() {
			if !folderDust(e.Name()) {
				l.Foreign = append(l.Foreign, ChunksDir+"/"+e.Name())
			}
			continue
		}
		if l.Chunks[h], err = entrySize(e); err != nil {
			return err
		}
	}
	return nil
}

func (l *Listing) listBackup(dir, id string) (map[string]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := make(map[string]int64, len(entries))
	for _, e := range entries {
		if folderDust(e.Name()) {
			continue
		}
		if e.IsDir() || !validFileName(e.Name()) || strings.HasSuffix(e.Name(), fsx.TempSuffix) {
			l.Foreign = append(l.Foreign, id+"/"+e.Name())
			continue
		}
		if files[e.Name()], err = entrySize(e); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// IDs returns the ids of all backup folders, oldest first, complete or not.
func (l *Listing) IDs() []string {
	ids := make([]string, 0, len(l.Backups))
	for id := range l.Backups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Lacks returns what of the backup is not in the listing with its recorded size: nil means complete.
func (m *Manifest) Lacks(l *Listing) []string {
	var lacks []string
	files := l.Backups[m.BackupID]
	own := []string{ManifestName, RestoreIndexName}
	if m.PasswordNumber > 0 {
		own = append(own, MACName)
	}
	for _, name := range own {
		if _, ok := files[name]; !ok {
			lacks = append(lacks, m.BackupID+"/"+name)
		}
	}
	for _, f := range m.Files {
		if size, ok := files[f.Path]; !ok || size != f.SizeBytes {
			lacks = append(lacks, m.BackupID+"/"+f.Path)
		}
	}
	for _, c := range m.Chunks {
		if size, ok := l.Chunks[c.SHA256]; !ok || size != c.SizeBytes {
			lacks = append(lacks, ChunksDir+"/"+ChunkName(c.SHA256))
		}
	}
	return lacks
}

// Stored returns the names, relative to the repository and with slashes, of every file that the backup consists of, old
// chunks included. Their sizes are those recorded, or the listing's where the manifest cannot know them; -1: the listing
// does not have the file.
func (m *Manifest) Stored(l *Listing) map[string]int64 {
	out := map[string]int64{}
	own := []string{ManifestName, RestoreIndexName}
	if m.PasswordNumber > 0 {
		own = append(own, MACName)
	}
	files := l.Backups[m.BackupID]
	at := func(name string, there bool, size int64) {
		if !there {
			size = -1
		}
		out[name] = size
	}
	for _, name := range own {
		size, ok := files[name]
		at(m.BackupID+"/"+name, ok, size)
	}
	for _, f := range m.Files {
		_, ok := files[f.Path]
		at(m.BackupID+"/"+f.Path, ok, f.SizeBytes)
	}
	for _, c := range m.Chunks {
		_, ok := l.Chunks[c.SHA256]
		at(ChunksDir+"/"+ChunkName(c.SHA256), ok, c.SizeBytes)
	}
	return out
}

// ReadManifest reads a backup's manifest and returns its bytes too. The manifest may be shared: it must not be changed.
func (r Repo) ReadManifest(id string) (*Manifest, []byte, error) {
	m, b, _, err := r.readManifest(id, r.Manifests.whole)
	return m, b, err
}

// ReadSummary is ReadManifest for the manifest's Summary.
func (r Repo) ReadSummary(id string) (*Manifest, []byte, error) {
	m, b, _, err := r.readManifest(id, r.Manifests.summary)
	return m, b, err
}

// readManifest also returns the hash of the manifest's bytes.
func (r Repo) readManifest(id string, decode func(Hash, []byte) (*Manifest, error)) (*Manifest, []byte, Hash, error) {
	b, err := r.readSmall(r.Path(id, ManifestName), maxManifest)
	if err != nil {
		return nil, nil, Hash{}, err
	}
	sum := SumHash(b)
	m, err := decode(sum, b)
	if err != nil {
		return nil, nil, Hash{}, err
	}
	if m.BackupID != id {
		return nil, nil, Hash{}, fmt.Errorf("the manifest in %s is that of %s: %w", id, m.BackupID, ErrDamaged)
	}
	return m, b, sum, nil
}

// ReadFile reads a file of a backup's folder and checks it against the manifest.
func (r Repo) ReadFile(m *Manifest, name string) ([]byte, error) {
	i := slices.IndexFunc(m.Files, func(f FileRef) bool { return f.Path == name })
	if i < 0 {
		return nil, fmt.Errorf("%s names no %s: %w", m.BackupID, name, ErrMissing)
	}
	b, err := r.readSmall(r.Path(m.BackupID, name), m.Files[i].SizeBytes)
	if err != nil {
		return nil, err
	}
	if SumHash(b) != m.Files[i].SHA256 {
		return nil, fmt.Errorf("%s/%s: its SHA-256 differs: %w", m.BackupID, name, ErrDamaged)
	}
	return b, nil
}

// ReadSmall reads a file of a backup's folder that its manifest has no hash of: the restore index or its MAC.
func (r Repo) ReadSmall(id, name string) ([]byte, error) {
	limit := int64(maxIndexFile)
	if name == MACName {
		limit = maxMAC
	}
	return r.readSmall(r.Path(id, name), limit)
}

// ReadFiles reads a backup's file list.
func (r Repo) ReadFiles(m *Manifest) ([]File, error) {
	b, err := r.ReadFile(m, FilesName)
	if err != nil {
		return nil, err
	}
	return DecodeFiles(b)
}

// readSmall reads a regular file of at most limit bytes, and never more than maxSmallFile. Memory is taken as bytes come, not as
// many as a size promises.
func readSmall(path string, limit int64) ([]byte, error) {
	limit = min(limit, maxSmallFile)
	file, err := fsx.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrMissing)
	}
	if errors.Is(err, fsx.ErrNotRegular) {
		return nil, fmt.Errorf("%s: %v: %w", path, fsx.ErrNotRegular, ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d expected: %w", path, fi.Size(), limit, ErrDamaged)
	}
	var b bytes.Buffer
	b.Grow(int(min(fi.Size(), 1<<20)) + bytes.MinRead)
	n, err := io.CopyN(&b, file, fi.Size())
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %d of %d bytes: %w", path, n, fi.Size(), err)
	}
	return b.Bytes(), nil
}
