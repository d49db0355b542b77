package repository

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Statuses of a manifest. A failed or cancelled backup has no manifest.
const (
	StatusCompleted             = "completed"
	StatusCompletedWithWarnings = "completed_with_warnings"
)

// Manifest is the authoritative list of a backup; its presence commits the backup. Sizes are bytes, times UTC.
type Manifest struct {
	Format         int       `json:"format"`
	BackupID       string    `json:"backup_id"`
	BackupType     string    `json:"backup_type"`
	Status         string    `json:"status"`
	CreatedAt      time.Time `json:"created_at"`
	ProgramVersion string    `json:"program_version"`
	RepositoryID   string    `json:"repository_id"`
	Writer         int       `json:"writer"`
	MaiaRoot       Name      `json:"maia_root"`
	OneDrivePath   Name      `json:"onedrive_path"`
	// SystemMetadata is the content of system_metadata.json.
	SystemMetadata json.RawMessage `json:"system_metadata"`
	// Components maps each component's name to what the backup holds of it.
	Components map[string]*Component `json:"components"`
	// Coverage says where every file under the Maia root went.
	Coverage Coverage `json:"coverage"`
	// Files are the files of the backup's folder but the manifest itself, the restore index and its MAC: the index
	// names the manifest, so the manifest cannot name the index's hash.
	Files []FileRef `json:"files"`
	// Chunks are all chunks the backup refers to; extents count in this list.
	Chunks              []ChunkRef          `json:"chunks"`
	RestorationMetadata RestorationMetadata `json:"restoration_metadata"`
	// PasswordNumber says which vault password, counted from 1, seals the vault; 0: there is none.
	PasswordNumber int       `json:"password_number,omitempty"`
	Warnings       []Warning `json:"warnings"`
	Stats          Stats     `json:"stats"`

	summary bool
}

// Component is what a backup holds of one component. Which fields mean something depends on the component.
type Component struct {
	// Path is the file in the backup's folder; a stream has Extents instead.
	Path string `json:"path,omitempty"`
	// SizeBytes is the length of the file or of the stream.
	SizeBytes int64 `json:"size_bytes"`
	// SHA256 is the hash of the file at Path.
	SHA256 *Hash `json:"sha256,omitempty"`
	// Count is the number of files, links and folders in it; SourceBytes the files' sizes together.
	Count       int    `json:"count"`
	SourceBytes int64  `json:"source_bytes"`
	Stream      string `json:"stream,omitempty"`
	// Extents of the component's tar.
	Extents Extents `json:"extents,omitempty"`
	// Files are the names in a small archive or the files of a component that consists of several.
	Files     []Name     `json:"files,omitempty"`
	Databases []Database `json:"databases,omitempty"`
	// RequirementsTxt and BrewList are the plan's names for two files of the dependencies; empty: not captured.
	// PythonVersion is that of the interpreter the first is of.
	RequirementsTxt  string          `json:"requirements_txt,omitempty"`
	BrewList         string          `json:"brew_list,omitempty"`
	PythonVersion    string          `json:"python_version,omitempty"`
	Details          json.RawMessage `json:"details,omitempty"`
	Encryption       string          `json:"encryption,omitempty"`
	RequiresPassword bool            `json:"requires_password,omitempty"`
}

// Database is one SQLite database: inside its component's tar, or, with Extents, as a stream of its own.
type Database struct {
	// Database is the base name, Path the place under the Maia root.
	Database     Name  `json:"database"`
	Path         Name  `json:"path"`
	OriginalSize int64 `json:"original_size"`
	SHA256       Hash  `json:"sha256"`
	// Mode is the permission bits, ModTime whole seconds: both only for a stream of its own.
	Mode    uint32  `json:"mode,omitempty"`
	ModTime int64   `json:"mtime,omitempty"`
	Extents Extents `json:"extents,omitempty"`
	// Chunks are the numbers of the chunks its extents lie in, ascending.
	Chunks []int         `json:"chunks,omitempty"`
	Facts  DatabaseFacts `json:"facts"`
}

// DatabaseFacts is what was found out about a database when it was captured.
type DatabaseFacts struct {
	PageSize      int    `json:"page_size"`
	Pages         int64  `json:"pages"`
	UserVersion   int64  `json:"user_version"`
	ApplicationID int64  `json:"application_id"`
	JournalMode   string `json:"journal_mode"`
	Encoding      string `json:"encoding"`
	// Way is how the snapshot was taken: plain, wal, copy or recovered.
	Way string `json:"way"`
	// Check is quick_check, integrity_check or none, with "_partial" behind it where some tables could not be checked
	// without a program's own functions; CheckResult is "ok" or the first problems.
	Check              string           `json:"check"`
	CheckResult        string           `json:"check_result"`
	ForeignKeyProblems int64            `json:"foreign_key_problems,omitempty"`
	Tables             map[string]int64 `json:"tables,omitempty"`
}

// Coverage is the ledger of the files under the Maia root: each is captured, secret-bearing, excluded by a rule, or
// left out for a reason.
type Coverage struct {
	Captured Count            `json:"captured"`
	Secret   Count            `json:"secret"`
	Excluded map[string]Count `json:"excluded"`
	LeftOut  []LeftOut        `json:"left_out"`
	Total    int              `json:"total_files"`
	Secrets  []SecretRef      `json:"secret_files,omitempty"`
}

// Count is a number of files and their bytes together.
type Count struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes,omitempty"`
}

// LeftOut is something that was not captured and why.
type LeftOut struct {
	Path   Name   `json:"path"`
	Reason string `json:"reason"`
}

// SecretRef names a secret-bearing file and the names of its secrets; never a value, size or hash.
type SecretRef struct {
	Component string   `json:"component"`
	Path      Name     `json:"path"`
	Reason    string   `json:"reason"`
	Names     []string `json:"names,omitempty"`
	Captured  bool     `json:"captured"`
}

// FileRef is a file of a backup's folder.
type FileRef struct {
	Path      string `json:"path"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    Hash   `json:"sha256"`
}

// ChunkRef is a chunk: the hash that names it, the size of its file and of its content.
type ChunkRef struct {
	SHA256    Hash  `json:"sha256"`
	SizeBytes int64 `json:"size_bytes"`
	RawBytes  int64 `json:"raw_bytes"`
}

// RestorationMetadata is what a restore is known to take: measured by the last drill, empty before one.
type RestorationMetadata struct {
	EstimatedTimeMinutes float64    `json:"estimated_time_minutes,omitempty"`
	MeasuredAt           *time.Time `json:"measured_at,omitempty"`
	RequiresUserInput    []string   `json:"requires_user_input"`
}

// Warning is something of the user's that is missing from the backup or doubtful in it.
type Warning struct {
	Code string `json:"code"`
	Path Name   `json:"path,omitempty"`
	Text string `json:"text"`
	// Hint says what to do.
	Hint string `json:"hint,omitempty"`
}

// Stats are counts for people and for the comparison with the backup before.
type Stats struct {
	SourceFiles int   `json:"source_files"`
	SourceBytes int64 `json:"source_bytes"`
	// StoredBytes is what the backup added but for the manifest and the restore index, which come after it.
	StoredBytes  int64 `json:"stored_bytes"`
	NewChunks    int   `json:"new_chunks"`
	LaunchAgents int   `json:"launch_agents"`
	PipPackages  int   `json:"pip_packages"`
	BrewPackages int   `json:"brew_packages"`
	Databases    int   `json:"databases"`
}

// Encode returns the manifest's bytes.
func (m *Manifest) Encode() ([]byte, error) {
	if m.summary {
		panic("encode a summary")
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return buf.Bytes(), nil
}

// Summary returns a copy without extents, which after some months are nearly all of it: what the backup consists of, but not
// where its bytes lie. Whoever asks it for streams panics.
func (m *Manifest) Summary() *Manifest {
	s := *m
	s.summary = true
	s.Components = make(map[string]*Component, len(m.Components))
	for name, whole := range m.Components {
		c := *whole
		c.Extents = nil
		c.Databases = slices.Clone(c.Databases)
		for i := range c.Databases {
			c.Databases[i].Extents = nil
		}
		s.Components[name] = &c
	}
	return &s
}

// Names reports whether a file of the backup's folder is one of the backup's.
func (m *Manifest) Names(file string) bool {
	switch file {
	case ManifestName, RestoreIndexName, MACName:
		return true
	}
	return slices.ContainsFunc(m.Files, func(f FileRef) bool { return f.Path == file })
}

// ChunkUse returns, for each chunk of the backup, how many of its bytes the backup's streams use. Bytes used twice
// count once.
func (m *Manifest) ChunkUse() []int64 {
	runs := make([][]Extent, len(m.Chunks))
	for _, s := range m.Streams() {
		for _, e := range s.Extents {
			runs[e.Chunk] = append(runs[e.Chunk], e)
		}
	}
	use := make([]int64, len(m.Chunks))
	for i, r := range runs {
		slices.SortFunc(r, func(a, b Extent) int { return int(a.Offset - b.Offset) })
		var end int64
		for _, e := range r {
			from := max(e.Offset, end)
			if to := e.Offset + e.Length; to > from {
				use[i] += to - from
				end = to
			}
		}
	}
	return use
}

// Stream is a stream of a backup: a component's tar, or one large database.
type Stream struct {
	Component string
	Extents   Extents
	// Database is set for a database of its own; nil means a tar.
	Database *Database
}

// Streams returns the backup's streams in a fixed order: tars by component name, then databases by path.
func (m *Manifest) Streams() []Stream {
	if m.summary {
		panic("streams of a summary")
	}
	var tars, dbs []Stream
	for name, c := range m.Components {
		if c.Stream == "tar" {
			tars = append(tars, Stream{Component: name, Extents: c.Extents})
		}
		for i := range c.Databases {
			if len(c.Databases[i].Extents) > 0 {
				dbs = append(dbs, Stream{Component: name, Extents: c.Databases[i].Extents, Database: &c.Databases[i]})
			}
		}
	}
	slices.SortFunc(tars, func(a, b Stream) int { return strings.Compare(a.Component, b.Component) })
	slices.SortFunc(dbs, func(a, b Stream) int { return strings.Compare(string(a.Database.Path), string(b.Database.Path)) })
	return append(tars, dbs...)
}
