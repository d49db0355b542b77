// Command app makes the files of a release from programs that are built already; see packaging/make-app.sh, which builds,
// signs and calls it.
//
//	app icon ICNS PNG...
//	app bundle -version 1.2.3 -icon FILE -license FILE -manual FILE -out DIR PROGRAM...
//	app zip -out FILE APP
//	app checksums FILE...
//	app brew -version 1.2.3 -repository OWNER/NAME -zip FILE -source FILE -out DIR
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/packaging/bundle"
)

// disk is what is written to.
var disk *fsx.FS

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatalf("app: %v", err)
	}
}

// options are the flags of all verbs.
type options struct {
	version, icon, license, manual, out, repository, zip, source string
}

func run(args []string, stdout io.Writer) error {
	verbs := map[string]func(*options, []string, io.Writer) error{
		"icon": icon, "bundle": makeBundle, "zip": makeZip, "checksums": checksums, "brew": brew,
	}
	if len(args) == 0 || verbs[args[0]] == nil {
		return errors.New("usage: app icon|bundle|zip|checksums|brew, and what they take")
	}
	var o options
	f := flag.NewFlagSet("app "+args[0], flag.ContinueOnError)
	f.StringVar(&o.version, "version", "", "the release")
	f.StringVar(&o.icon, "icon", "", "the icon: .icns, or one PNG to make it of")
	f.StringVar(&o.license, "license", "LICENSE", "the licence")
	f.StringVar(&o.manual, "manual", "resources/maia-dr.1", "the page for man")
	f.StringVar(&o.out, "out", "", "where to write to")
	f.StringVar(&o.repository, "repository", "", "OWNER/NAME on GitHub")
	f.StringVar(&o.zip, "zip", "", "the zip of the bundle")
	f.StringVar(&o.source, "source", "", "the .tar.gz of the tag")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	return verbs[args[0]](&o, f.Args(), stdout)
}

// readIcon reads an icon, and makes it if it is a picture.
func readIcon(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil || filepath.Ext(path) == ".icns" {
		return b, err
	}
	return bundle.Icon(b)
}

func icon(_ *options, args []string, _ io.Writer) error {
	if len(args) < 2 {
		return errors.New("icon takes the file to write and PNGs")
	}
	var pictures [][]byte
	for _, path := range args[1:] {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pictures = append(pictures, b)
	}
	b, err := bundle.Icon(pictures...)
	if err != nil {
		return err
	}
	return disk.WriteAtomic(args[0], 0o644, b)
}

func makeBundle(o *options, args []string, stdout io.Writer) error {
	a := bundle.App{Version: o.version}
	var err error
	if a.Icon, err = readIcon(o.icon); err != nil {
		return err
	}
	if a.License, err = os.ReadFile(o.license); err != nil {
		return err
	}
	if a.Manual, err = os.ReadFile(o.manual); err != nil {
		return err
	}
	for _, path := range args {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		a.Programs = append(a.Programs, b)
	}
	path, err := a.Write(o.out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, path)
	return err
}

func makeZip(o *options, args []string, _ io.Writer) error {
	if len(args) != 1 {
		return errors.New("zip takes one bundle")
	}
	t, err := sourceTime(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	return disk.WriteDurable(o.out, 0o644, func(w io.Writer) error { return bundle.Zip(w, args[0], t) })
}

// sourceTime is the time that all files of a zip get: that of the commit, where the build says it.
func sourceTime(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), nil
	}
	n, err := strconv.ParseInt(epoch, 10, 64)
	return time.Unix(n, 0).UTC(), err
}

func checksums(_ *options, args []string, stdout io.Writer) error {
	text, err := bundle.Checksums(args...)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, text)
	return err
}

func brew(o *options, _ []string, _ io.Writer) error {
	r := bundle.Release{Version: strings.TrimPrefix(o.version, "v"), Repository: o.repository}
	var err error
	if r.ZipSHA256, err = bundle.Checksum(o.zip); err != nil {
		return err
	}
	if r.SourceSHA256, err = bundle.Checksum(o.source); err != nil {
		return err
	}
	for name, fill := range map[string]func() ([]byte, error){"Casks/maia-recovery.rb": r.Cask, "Formula/maia-dr.rb": r.Formula} {
		b, err := fill()
		if err != nil {
			return err
		}
		path := filepath.Join(o.out, name)
		if err := errors.Join(disk.MkdirAll(filepath.Dir(path), 0o755), disk.WriteAtomic(path, 0o644, b)); err != nil {
			return err
		}
	}
	return nil
}
