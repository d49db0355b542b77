package engine

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// defaultPieceBytes is the size of a piece of a large database in an export.
const defaultPieceBytes = 50 << 20

// archiveManifest is backup_manifest.json of an export as archives: what is in the folder, with hashes.
type archiveManifest struct {
	BackupID   string                       `json:"backup_id"`
	BackupType string                       `json:"backup_type"`
	Export     string                       `json:"export"` // "archives": no program restores from it
	CreatedAt  time.Time                    `json:"created_at"`
	MaiaRoot   repository.Name              `json:"maia_root"`
	Components map[string]*archiveComponent `json:"components"`
	Files      []repository.FileRef         `json:"files"`
}

type archiveComponent struct {
	Path             string            `json:"path,omitempty"`
	SizeBytes        int64             `json:"size_bytes,omitempty"`
	SHA256           *repository.Hash  `json:"sha256,omitempty"`
	Databases        []archiveDatabase `json:"databases,omitempty"`
	RequirementsTxt  string            `json:"requirements_txt,omitempty"`
	BrewList         string            `json:"brew_list,omitempty"`
	Encryption       string            `json:"encryption,omitempty"`
	RequiresPassword bool              `json:"requires_password,omitempty"`
}

type archiveDatabase struct {
	Database     repository.Name      `json:"database"`
	Path         repository.Name      `json:"path"`
	OriginalSize int64                `json:"original_size"`
	SHA256       repository.Hash      `json:"sha256"`
	Chunks       []repository.FileRef `json:"chunks"`
}

// archived is a stream on its way into the folder.
type archived struct {
	stream repository.Stream
	// name is the archive, or the database's name before ".chunk1".
	name string
	// piece is the size of a piece.
	piece int64
}

// pieces returns the names of a database's pieces, at least one.
func (a *archived) pieces() []string {
	n := max(1, int((a.stream.Extents.Size()+a.piece-1)/a.piece))
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s.chunk%d", a.name, i+1)
	}
	return out
}

// archives writes archives and pieces that any program opens, each checked against the backup's hashes before it is written
// and read back afterwards.
func (x *export) archives() error {
	out := archiveManifest{BackupID: x.m.BackupID, BackupType: x.m.BackupType, Export: "archives", CreatedAt: x.m.CreatedAt,
		MaiaRoot: x.m.MaiaRoot, Components: map[string]*archiveComponent{}, Files: []repository.FileRef{}}
	for name, c := range x.m.Components {
		out.Components[name] = &archiveComponent{Path: c.Path, SHA256: c.SHA256, RequirementsTxt: c.RequirementsTxt, BrewList: c.BrewList,
			Encryption: c.Encryption, RequiresPassword: c.RequiresPassword}
		if c.Path != "" {
			out.Components[name].SizeBytes = c.SizeBytes
		}
	}
	var lists []small
	expected := map[string]bool{repository.ManifestName: true, repository.ReadmeName: true}
	var total int64
	for _, f := range x.m.Files {
		// The one is of no use without the chunks, and the other needs them.
		if f.Path == repository.FilesName || f.Path == repository.ScriptName {
			continue
		}
		b, err := x.readFile(x.m, f.Path)
		if err != nil {
			return err
		}
		lists = append(lists, small{f.Path, b})
		out.Files = append(out.Files, f)
		expected[f.Path] = true
		total += f.SizeBytes
	}
	streams := x.archiveNames(expected)
	for _, s := range streams {
		total += s.stream.Extents.Size()
	}
	if err := x.prepare(expected, total, nil); err != nil {
		return err
	}
	x.e.phase(event.Export, total)
	x.tell = x.e.counter(event.Export, total, &x.done)
	for i := range streams {
		if err := x.archive(&streams[i], &out); err != nil {
			return err
		}
	}
	body, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	lists = append(lists, small{repository.ReadmeName, []byte(x.archivesReadme(streams))}, small{repository.ManifestName, append(body, '\n')})
	for _, s := range lists {
		if err := x.putSmall(s); err != nil {
			return err
		}
		x.res.Bytes += int64(len(s.body))
		if !x.whole(s.name, int64(len(s.body)), repository.SumHash(s.body)) {
			return fmt.Errorf("read the copy back: %s: %w", s.name, repository.ErrDamaged)
		}
	}
	return nil
}

// archiveNames gives each stream a name, and enters the files it makes in expected. Databases of the same name in several
// folders have their folders in theirs, and a number where that is not enough.
func (x *export) archiveNames(expected map[string]bool) []archived {
	var out []archived
	// A Mac's disk takes names for one that differ in case only.
	used := map[string]bool{}
	for name := range expected {
		used[strings.ToLower(name)] = true
	}
	for _, s := range x.m.Streams() {
		if s.Database == nil {
			a := archived{stream: s, name: s.Component + ".tar.gz"}
			expected[a.name], used[a.name] = true, true
			out = append(out, a)
			continue
		}
		a := archived{stream: s, name: path.Base(string(s.Database.Path)), piece: cmp.Or(x.e.pieceBytes, defaultPieceBytes)}
		taken := func() bool {
			return slices.ContainsFunc(a.pieces(), func(name string) bool { return used[strings.ToLower(name)] })
		}
		if taken() {
			a.name = strings.ReplaceAll(string(s.Database.Path), "/", "_")
		}
		for n, name := 2, a.name; taken(); n++ {
			a.name = fmt.Sprintf("%s-%d", name, n)
		}
		for _, name := range a.pieces() {
			expected[name], used[strings.ToLower(name)] = true, true
		}
		out = append(out, a)
	}
	return out
}

// archive assembles a stream in scratch, compares it with the hashes of what is in it, and writes it.
func (x *export) archive(a *archived, out *archiveManifest) error {
	f, err := x.e.scratchFile()
	if err != nil {
		return err
	}
	defer f.Close()
	bad, err := x.source().Copy(x.ctx, x.m.Chunks, repository.Pieces(a.stream.Extents, f, 0), false, nil)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return bad[0]
	}
	c := out.Components[a.stream.Component]
	if db := a.stream.Database; db != nil {
		if sum, err := hashOf(f, 0, db.OriginalSize); err != nil || sum != db.SHA256 {
			return errors.Join(fmt.Errorf("%s: its bytes are not what they were: %w", db.Path, repository.ErrDamaged), err)
		}
		refs, err := x.putPieces(f, a)
		c.Databases = append(c.Databases, archiveDatabase{Database: db.Database, Path: db.Path, OriginalSize: db.OriginalSize, SHA256: db.SHA256, Chunks: refs})
		return err
	}
	for i := range x.files {
		file := &x.files[i]
		if file.Component != a.stream.Component || !file.HasContent() || file.Type == repository.TypeLarge {
			continue
		}
		if sum, err := hashOf(f, file.Offset, file.SizeBytes); err != nil || sum != *file.SHA256 {
			return errors.Join(fmt.Errorf("%s: its bytes are not what they were: %w", file.Path, repository.ErrDamaged), err)
		}
	}
	ref, err := x.putArchive(f, a)
	c.Path, c.SizeBytes, c.SHA256 = ref.Path, ref.SizeBytes, &ref.SHA256
	return err
}

func hashOf(r io.ReaderAt, off, n int64) (repository.Hash, error) {
	sum := sha256.New()
	got, err := io.Copy(sum, io.NewSectionReader(r, off, n))
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	return repository.Hash(sum.Sum(nil)), err
}

// putArchive writes a tar, compressed, and unpacks it again.
func (x *export) putArchive(tar *fsx.File, a *archived) (repository.FileRef, error) {
	size := a.stream.Extents.Size()
	want, err := hashOf(tar, 0, size)
	if err != nil {
		return repository.FileRef{}, err
	}
	dst := filepath.Join(x.dir, a.name)
	if x.unpacks(dst, want) {
		x.res.Kept++
		x.tell(size)
	} else {
		err := x.e.fs.WriteDurable(dst, 0o600, func(w io.Writer) error {
			buffered := bufio.NewWriterSize(w, 1<<20)
			zw := gzip.NewWriter(buffered)
			if err := x.pour(zw, io.NewSectionReader(tar, 0, size)); err != nil {
				return err
			}
			return errors.Join(zw.Close(), buffered.Flush())
		})
		if err != nil {
			return repository.FileRef{}, err
		}
		x.res.Written++
		if !x.unpacks(dst, want) {
			return repository.FileRef{}, fmt.Errorf("read the copy back: %s: %w", a.name, repository.ErrDamaged)
		}
	}
	sum, n, err := repository.HashFile(dst)
	x.res.Bytes += n
	return repository.FileRef{Path: a.name, SizeBytes: n, SHA256: sum}, err
}

// unpacks reports whether a file is a gzip of the bytes with this hash.
func (x *export) unpacks(path string, want repository.Hash) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	zr, err := gzip.NewReader(file)
	if err != nil {
		return false
	}
	sum := sha256.New()
	_, err = io.Copy(sum, zr)
	return err == nil && repository.Hash(sum.Sum(nil)) == want
}

// putPieces writes a database in pieces, and reads each back.
func (x *export) putPieces(db *fsx.File, a *archived) ([]repository.FileRef, error) {
	size := a.stream.Extents.Size()
	var refs []repository.FileRef
	for i, name := range a.pieces() {
		off := int64(i) * a.piece
		n := min(a.piece, size-off)
		sum, err := hashOf(db, off, n)
		if err != nil {
			return refs, err
		}
		refs = append(refs, repository.FileRef{Path: name, SizeBytes: n, SHA256: sum})
		x.res.Bytes += n
		if x.whole(name, n, sum) {
			x.res.Kept++
			x.tell(n)
			continue
		}
		err = x.e.fs.WriteDurable(filepath.Join(x.dir, name), 0o600, func(w io.Writer) error {
			return x.pour(w, io.NewSectionReader(db, off, n))
		})
		if err != nil {
			return refs, err
		}
		x.res.Written++
		if !x.whole(name, n, sum) {
			return refs, fmt.Errorf("read the copy back: %s: %w", name, repository.ErrDamaged)
		}
	}
	return refs, nil
}

// pour copies, tells how far it is, and stops when it is cancelled.
func (x *export) pour(w io.Writer, r io.Reader) error {
	buf := make([]byte, 1<<20)
	for {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		x.tell(int64(n))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// archivesReadme tells whoever finds the folder how to open what is in it.
func (x *export) archivesReadme(streams []archived) string {
	var text strings.Builder
	m := x.m
	fmt.Fprintf(&text, `This folder holds one backup made by Maia Recovery, as ordinary archives: %s, made %s.

A double click opens each .tar.gz. maia_code and maia_data_small unpack into the folder %s;
launchagents into Library/LaunchAgents of the home folder, shell_configs into the home folder itself.
`, m.BackupID, m.CreatedAt.UTC().Format("2 January 2006 15:04 MST"), cleanLine(string(m.MaiaRoot)))
	for _, s := range streams {
		if s.stream.Database == nil {
			continue
		}
		pieces := s.pieces()
		how := shellWord(pieces[0])
		if n := len(pieces); n > 1 {
			how = fmt.Sprintf("%s.chunk{1..%d}", shellWord(s.name), n)
		}
		fmt.Fprintf(&text, "\nThe database %s is in %s; in Terminal, in this folder:\n\n    cat %s > %s\n    shasum -a 256 %s    # %s\n",
			cleanLine(string(s.stream.Database.Path)), counted(len(pieces), "piece", "pieces"), how, shellWord(s.name), shellWord(s.name), s.stream.Database.SHA256)
	}
	if mac, err := vault.ParseMAC(x.mac); err == nil {
		fmt.Fprintf(&text, `
Where MAIA-VAULT: stands in a file, a secret was. Secrets are in credentials.vault.enc, which vault password %d opens:

    openssl enc -d -aes-256-cbc -pbkdf2 -md sha256 -iter %d -in credentials.vault.enc | tar -tvf -
`, m.PasswordNumber, mac.Iterations)
	}
	text.WriteString("\nbackup_manifest.json has the size and the SHA-256 of everything here. Nothing but credentials.vault.enc is encrypted.\n")
	return text.String()
}

// cleanLine makes a path safe to stand in a text.
func cleanLine(s string) string { return strings.Trim(fmt.Sprintf("%q", s), `"`) }

// shellWord writes a file's name as the shell reads it.
func shellWord(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
