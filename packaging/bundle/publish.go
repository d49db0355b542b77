package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"
)

// Zip writes a bundle as a zip file, with the modes of its files, all of one time: the same bundle is the same file.
func Zip(w io.Writer, app string, t time.Time) error {
	z := zip.NewWriter(w)
	err := filepath.WalkDir(app, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.Dir(app), path)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		h, err := zip.FileInfoHeader(fi)
		if err != nil {
			return err
		}
		h.Name, h.Modified, h.Method = filepath.ToSlash(rel), t.UTC(), zip.Deflate
		switch {
		case d.IsDir():
			h.Name, h.Method = h.Name+"/", zip.Store
			_, err = z.CreateHeader(h)
			return err
		case fi.Mode()&fs.ModeSymlink != 0:
			return addLink(z, h, path)
		case !fi.Mode().IsRegular():
			return fmt.Errorf("%s is neither file, folder nor link", rel)
		}
		return addFile(z, h, path)
	})
	if err := errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("zip %s: %w", filepath.Base(app), err)
	}
	return nil
}

func addLink(z *zip.Writer, h *zip.FileHeader, path string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	h.Method = zip.Store
	to, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = io.WriteString(to, target)
	return err
}

func addFile(z *zip.Writer, h *zip.FileHeader, path string) error {
	to, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return err
}

// Checksum returns the SHA-256 of a file in hexadecimal.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Checksums returns the lines that `shasum -a 256 --check` reads, in the folder of the files.
func Checksums(paths ...string) (string, error) {
	var b strings.Builder
	for _, path := range paths {
		sum, err := Checksum(path)
		if err != nil {
			return "", fmt.Errorf("sum up: %w", err)
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, filepath.Base(path))
	}
	return b.String(), nil
}

// Release is what Homebrew is told of.
type Release struct {
	// Version has three numbers, and no v.
	Version string
	// Repository is owner/name on GitHub.
	Repository string
	// ZipSHA256 is that of the zip of the bundle, SourceSHA256 that of the tag's .tar.gz.
	ZipSHA256, SourceSHA256 string
}

//go:embed cask.rb.tmpl formula.rb.tmpl
var templates embed.FS

var (
	repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
	sumPattern        = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Cask returns Homebrew's cask: the application, with the command as a link into it.
func (r Release) Cask() ([]byte, error) { return r.fill("cask.rb.tmpl", r.ZipSHA256) }

// Formula returns Homebrew's formula: the command, built from source.
func (r Release) Formula() ([]byte, error) { return r.fill("formula.rb.tmpl", r.SourceSHA256) }

func (r Release) fill(name, sum string) ([]byte, error) {
	if n, err := Numbers(r.Version); err != nil || n != r.Version {
		return nil, fmt.Errorf("fill in %s: %q is no version of a release", name, r.Version)
	}
	if !repositoryPattern.MatchString(r.Repository) {
		return nil, fmt.Errorf("fill in %s: %q is no owner/name", name, r.Repository)
	}
	if !sumPattern.MatchString(sum) {
		return nil, fmt.Errorf("fill in %s: %q is no SHA-256", name, sum)
	}
	t, err := template.ParseFS(templates, name)
	if err != nil {
		return nil, fmt.Errorf("fill in %s: %w", name, err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		Release
		SHA256, App, Identifier, Program string
	}{r, sum, Name, Identifier, Program})
	return b.Bytes(), err
}

// ZipName is what the zip of a bundle is called.
func ZipName(version string) string {
	return "Maia-Recovery-" + strings.TrimPrefix(version, "v") + ".zip"
}
