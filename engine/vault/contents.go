package vault

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
)

// Names in the vault's tar.
const (
	IndexName       = "vault.index"
	CredentialsName = "credentials.json"
	FilesPrefix     = "files/" // then component, a slash and the path
	GitBundleName   = "git.bundle"
)

// KeychainComponent is the component of a Source that is an item of the Keychain; its path is the item's service.
const KeychainComponent = "keychain"

// padTo is what the size of a vault's contents is a multiple of, so that it tells little of the secrets' sizes.
const padTo = 16_384

// memberMode is the mode of the members that are no files of the user's.
const memberMode = 0o600

// Contents are what a vault holds. They print without their secrets.
type Contents struct {
	BackupID    string
	Credentials Credentials
	Files       []File // by component and path
	GitBundle   []byte // empty: there is none
}

// File is a secret-bearing file. Component and Path are those of its redacted copy in the backup.
type File struct {
	Component string
	Path      repository.Name
	Mode      uint32 // permission bits
	ModTimeNS int64  // nanoseconds since 1970
	Body      []byte
}

// Credentials are what credentials.json says beside its format and backup: the secrets that were found, for people.
type Credentials struct {
	CreatedAt time.Time `json:"created_at"`
	Sources   []Source  `json:"sources"`
}

type credentialsFile struct {
	Format   int    `json:"format"`
	BackupID string `json:"backup_id"`
	Credentials
}

// Source is a file, or an item of the Keychain, with its secrets by their names. Names and values are UTF-8.
type Source struct {
	Component string            `json:"component"`
	Path      repository.Name   `json:"path"`
	Values    map[string]string `json:"values"`
}

// Format implements fmt.Formatter, for every verb.
func (c Contents) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "%s: %d sources, %d files, %d bytes of git bundle", c.BackupID, len(c.Credentials.Sources), len(c.Files), len(c.GitBundle))
}

// Format implements fmt.Formatter, for every verb.
func (f File) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "%s %q: %d bytes", f.Component, string(f.Path), len(f.Body))
}

// Format implements fmt.Formatter, for every verb.
func (c Credentials) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%d sources", len(c.Sources)) }

// Format implements fmt.Formatter, for every verb.
func (x Source) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "%s %q: %d values", x.Component, string(x.Path), len(x.Values))
}

// Encode returns the vault's tar, padded: the same bytes for the same contents, in whatever order the files are. It
// refuses what Decode would.
func (c *Contents) Encode() ([]byte, error) {
	b, err := c.encode()
	if err != nil {
		return nil, fmt.Errorf("encode vault: %w", err)
	}
	return b, nil
}

func (c *Contents) encode() ([]byte, error) {
	files := slices.SortedFunc(slices.Values(c.Files), func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Path, b.Path))
	})
	entries := make([]repository.File, len(files))
	for i := range files {
		entries[i] = files[i].entry()
	}
	index := formatIndex(c.BackupID, entries)
	if _, err := parseIndex(index, c.BackupID); err != nil {
		return nil, err
	}
	credentials, err := c.encodeCredentials()
	if err != nil {
		return nil, err
	}
	out := new(bytes.Buffer)
	add := func(name string, mode uint32, ns int64, body []byte) {
		if err == nil {
			err = addMember(out, name, mode, ns, body)
		}
	}
	add(IndexName, memberMode, 0, index)
	add(CredentialsName, memberMode, 0, credentials)
	for _, f := range files {
		add(f.member(), f.Mode, f.ModTimeNS, f.Body)
	}
	if len(c.GitBundle) > 0 {
		add(GitBundleName, memberMode, 0, c.GitBundle)
	}
	if err != nil {
		return nil, err
	}
	out.Write(stream.Trailer)
	out.Write(make([]byte, (padTo-out.Len()%padTo)%padTo))
	return out.Bytes(), nil
}

func (f *File) member() string { return FilesPrefix + f.Component + "/" + string(f.Path) }

func (f *File) entry() repository.File {
	sum := repository.SumHash(f.Body)
	return repository.File{
		Component: f.Component, Path: f.Path, Type: repository.TypeFile, SizeBytes: int64(len(f.Body)),
		Mode: f.Mode, ModTimeNS: f.ModTimeNS, SHA256: &sum,
	}
}

func addMember(out *bytes.Buffer, name string, mode uint32, ns int64, body []byte) error {
	header, err := stream.Header(stream.Entry{Type: stream.File, Path: name, Mode: int64(mode), Size: int64(len(body)), ModTimeNS: ns})
	if err != nil {
		return err
	}
	out.Write(header)
	out.Write(body)
	out.Write(make([]byte, stream.Padding(int64(len(body)))))
	return nil
}

func (c *Contents) encodeCredentials() ([]byte, error) {
	x := credentialsFile{repository.Format, c.BackupID, c.Credentials}
	x.CreatedAt = x.CreatedAt.UTC()
	for _, s := range x.Sources {
		for name, value := range s.Values {
			// JSON would hold another text in its place.
			if !utf8.ValidString(name) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("a secret of %s %.80q is not UTF-8", s.Component, string(s.Path))
			}
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(x); err != nil {
		return nil, fmt.Errorf("encode %s: %w", CredentialsName, err)
	}
	return out.Bytes(), nil
}

// decodeCredentials names in its errors nothing of what it read.
func decodeCredentials(b []byte, backupID string) (Credentials, error) {
	var x credentialsFile
	bad := func(why string) (Credentials, error) {
		return Credentials{}, fmt.Errorf("%s: %s: %w", CredentialsName, why, repository.ErrDamaged)
	}
	if !utf8.Valid(b) || json.Unmarshal(b, &x) != nil {
		return bad("not its JSON")
	}
	if repository.RejectDuplicateKeys(b) != nil {
		return bad("a key stands twice")
	}
	if x.Format > repository.Format {
		return Credentials{}, fmt.Errorf("%s: %w", CredentialsName, repository.ErrNewerFormat)
	}
	if x.Format != repository.Format || x.BackupID != backupID {
		return bad("of another backup")
	}
	if _, offset := x.CreatedAt.Zone(); offset != 0 {
		return bad("time is not UTC")
	}
	return x.Credentials, nil
}

const indexMagic = "maia-vault-index "

// formatIndex returns vault.index.
func formatIndex(backupID string, entries []repository.File) []byte {
	lines := []string{indexMagic + "1", "backup " + backupID}
	for i := range entries {
		lines = append(lines, entries[i].IndexLine())
	}
	lines = append(lines, "end "+strconv.Itoa(len(lines)), "")
	return []byte(strings.Join(lines, "\n"))
}

// parseIndex reads vault.index: files alone, each place once, in order.
func parseIndex(b []byte, backupID string) ([]repository.File, error) {
	bad := func(why string) ([]repository.File, error) {
		return nil, fmt.Errorf("%s: %s: %w", IndexName, why, repository.ErrDamaged)
	}
	lines := strings.Split(string(b), "\n")
	if n, ok := strings.CutPrefix(lines[0], indexMagic); ok && n != "1" {
		return nil, fmt.Errorf("%s: %w", IndexName, repository.ErrNewerFormat)
	}
	if len(lines) < 4 {
		return bad("cut off")
	}
	if !repository.IsID(backupID) || lines[1] != "backup "+backupID {
		return bad("of another backup")
	}
	var entries []repository.File
	for _, line := range lines[2 : len(lines)-2] {
		f, err := repository.ParseIndexLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", IndexName, err)
		}
		if f.Type != repository.TypeFile {
			return bad("an entry that is no file")
		}
		if n := len(entries); n > 0 {
			if last := entries[n-1]; cmp.Or(cmp.Compare(last.Component, f.Component), cmp.Compare(last.Path, f.Path)) >= 0 {
				return bad("not in its order")
			}
		}
		entries = append(entries, f)
	}
	if !bytes.Equal(formatIndex(backupID, entries), b) {
		return bad("not in its one spelling")
	}
	return entries, nil
}

// Decode reads what Encode wrote for this backup, padding included. The contents refer to b. Nothing is taken at its
// word: members have the names and the order that vault.index gives, files its sizes, hashes, modes and times; paths
// pass repository.ValidatePath. It allocates no more than a small multiple of b. Errors are repository.ErrDamaged and
// repository.ErrNewerFormat, and hold no secret.
func Decode(b []byte, backupID string) (*Contents, error) {
	c, err := decode(b, backupID)
	if err != nil {
		return nil, fmt.Errorf("decode vault: %w", err)
	}
	return c, nil
}

func decode(b []byte, backupID string) (*Contents, error) {
	if len(b)%padTo != 0 {
		return nil, fmt.Errorf("its size is no multiple of %d: %w", padTo, repository.ErrDamaged)
	}
	m := newMembers(b)
	_, index, err := m.next(IndexName)
	if err != nil {
		return nil, err
	}
	entries, err := parseIndex(index, backupID)
	if err != nil {
		return nil, err
	}
	_, credentials, err := m.next(CredentialsName)
	if err != nil {
		return nil, err
	}
	c := &Contents{BackupID: backupID}
	if c.Credentials, err = decodeCredentials(credentials, backupID); err != nil {
		return nil, err
	}
	for i := range entries {
		f, err := m.file(&entries[i])
		if err != nil {
			return nil, err
		}
		c.Files = append(c.Files, f)
	}
	if !m.ended() {
		if _, c.GitBundle, err = m.next(GitBundleName); err == nil && len(c.GitBundle) == 0 {
			err = fmt.Errorf("%s: empty: %w", GitBundleName, repository.ErrDamaged)
		}
		if err != nil {
			return nil, err
		}
	}
	if !m.ended() {
		return nil, fmt.Errorf("more than the index names: %w", repository.ErrDamaged)
	}
	return c, nil
}

// members reads a tar in memory, member by member.
type members struct {
	all  []byte
	rest []byte // behind the last member
	tar  *tar.Reader
	in   *bytes.Reader
}

func newMembers(b []byte) *members {
	in := bytes.NewReader(b)
	return &members{all: b, rest: b, in: in, tar: tar.NewReader(in)}
}

// next returns the next member, which must be a regular file of this name.
func (m *members) next(name string) (*tar.Header, []byte, error) {
	bad := func(err error) (*tar.Header, []byte, error) {
		return nil, nil, fmt.Errorf("member %.80q: %v: %w", name, err, repository.ErrDamaged)
	}
	h, err := m.tar.Next()
	if err != nil {
		return bad(err)
	}
	if h.Name != name || h.Typeflag != tar.TypeReg {
		return bad(errors.New("another is in its place"))
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return bad(errors.New("it is sparse"))
		}
	}
	// Its content is used where it lies.
	at := len(m.all) - m.in.Len()
	if h.Size < 0 || h.Size > int64(m.in.Len()) {
		return bad(io.ErrUnexpectedEOF)
	}
	end := at + int(h.Size)
	m.rest = m.all[end+stream.Padding(h.Size):] // all is of whole blocks
	return h, m.all[at:end:end], nil
}

// file returns the next member, which must be what the entry says.
func (m *members) file(e *repository.File) (File, error) {
	f := File{Component: e.Component, Path: e.Path, Mode: e.Mode, ModTimeNS: e.ModTimeNS}
	h, body, err := m.next(f.member())
	if err != nil {
		return File{}, err
	}
	f.Body = body
	if is := f.entry(); is.IndexLine() != e.IndexLine() || h.Mode != int64(e.Mode) || !h.ModTime.Equal(time.Unix(0, e.ModTimeNS)) {
		return File{}, fmt.Errorf("member %.80q: not as in %s: %w", f.member(), IndexName, repository.ErrDamaged)
	}
	return f, nil
}

// ended reports whether only the zeros are left that end and pad a tar.
func (m *members) ended() bool {
	return len(m.rest) >= len(stream.Trailer) && len(bytes.Trim(m.rest, "\x00")) == 0
}
