package onedrive

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// home makes a home with folders and, written "link -> target", symbolic links.
func home(t *testing.T, things ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, thing := range things {
		name, target, link := strings.Cut(thing, " -> ")
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			err = os.Symlink(target, path)
		case strings.HasSuffix(name, ".file"):
			err = os.WriteFile(strings.TrimSuffix(path, ".file"), nil, 0o600)
		default:
			err = os.Mkdir(path, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	cloud    = "Library/CloudStorage/"
	personal = cloud + "OneDrive-Personal"
	contoso  = cloud + "OneDrive-Contoso Ltd"
)

func TestFind(t *testing.T) {
	for name, tc := range map[string]struct {
		things     []string
		remembered string
		want       string // below home; "" means an error
		candidates int
		err        error
	}{
		"a Mac":                             {[]string{personal, "OneDrive -> " + personal}, "", personal, 1, nil},
		"an absolute link":                  {[]string{personal, "OneDrive - Personal -> " + personal}, "", personal, 1, nil},
		"a link first in order":             {[]string{"OneDrive -> " + contoso, contoso}, "", contoso, 1, nil},
		"an organisation":                   {[]string{contoso}, "", contoso, 1, nil},
		"a plain folder":                    {[]string{"OneDrive"}, "", "OneDrive", 1, nil},
		"a plain folder of an organisation": {[]string{"OneDrive - Contoso"}, "", "OneDrive - Contoso", 1, nil},
		"two accounts":                      {[]string{personal, contoso}, "", "", 0, ErrSeveral},
		"two accounts, links to both": {
			[]string{personal, contoso, "OneDrive -> " + personal, "OneDrive - Contoso -> " + contoso}, "", "", 0, ErrSeveral,
		},
		"two accounts, one remembered":  {[]string{personal, contoso}, contoso, contoso, 2, nil},
		"remembered by its link":        {[]string{personal, contoso, "OneDrive -> " + contoso}, "OneDrive", "OneDrive", 2, nil},
		"the remembered one is gone":    {[]string{personal}, contoso, "", 0, ErrNone},
		"the remembered link is broken": {[]string{personal, "OneDrive -> " + contoso}, "OneDrive", "", 0, ErrNone},
		"an archived account":           {[]string{personal, cloud + "OneDrive-Personal (1-2-25 3:04 PM)"}, "", personal, 1, nil},
		"only an archived account":      {[]string{cloud + "OneDrive-Contoso (2025-10-13 03:00)"}, "", "", 0, ErrNone},
		"an archived plain folder":      {[]string{"OneDrive", "OneDrive (Archived 2025)"}, "", "OneDrive", 1, nil},
		"shared libraries":              {[]string{personal, cloud + "OneDrive-SharedLibraries-Contoso"}, "", personal, 1, nil},
		"only shared libraries":         {[]string{cloud + "OneDrive-SharedLibraries-Contoso"}, "", "", 0, ErrNone},
		"an organisation in brackets":   {[]string{cloud + "OneDrive-Contoso (UK)"}, "", cloud + "OneDrive-Contoso (UK)", 1, nil},
		"other services":                {[]string{cloud + "Dropbox", cloud + "GoogleDrive-me", "onedrive", "My OneDrive"}, "", "", 0, ErrNone},
		"a file":                        {[]string{cloud + "OneDrive-Personal.file", "OneDrive.file"}, "", "", 0, ErrNone},
		"a broken link":                 {[]string{"OneDrive -> " + personal}, "", "", 0, ErrNone},
		"a circle of links":             {[]string{"OneDrive -> OneDrive"}, "", "", 0, ErrNone},
		"nothing":                       {nil, "", "", 0, ErrNone},
		"an empty CloudStorage":         {[]string{"Library", "Library/CloudStorage"}, "", "", 0, ErrNone},
	} {
		t.Run(name, func(t *testing.T) {
			dir := home(t, tc.things...)
			before := tree(t, dir)
			o := Options{Home: dir}
			if tc.remembered != "" {
				o.Remembered = filepath.Join(dir, tc.remembered)
			}
			f, err := Find(o)
			if after := tree(t, dir); !slices.Equal(after, before) {
				t.Errorf("the home holds %v, held %v", after, before)
			}
			if tc.want == "" {
				if !errors.Is(err, tc.err) || f.Path != "" {
					t.Errorf("%+v, %v, want %v", f, err, tc.err)
				}
				return
			}
			if err != nil || f.Path != filepath.Join(dir, tc.want) || f.Why == "" || len(f.Candidates) != tc.candidates {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What was found is named, so that the user can choose.
func TestFindSaysWhatItSaw(t *testing.T) {
	dir := home(t, personal, contoso)
	_, err := Find(Options{Home: dir})
	if err == nil || !strings.Contains(err.Error(), "OneDrive-Personal") || !strings.Contains(err.Error(), "OneDrive-Contoso Ltd") {
		t.Error(err)
	}
	_, err = Find(Options{Home: home(t)})
	if err == nil || !strings.Contains(err.Error(), "CloudStorage") {
		t.Error(err)
	}
}

// The account whose folder holds the backups is meant, if it is the only one.
func TestFindByTheBackups(t *testing.T) {
	dir := home(t, personal, contoso)
	held := map[string]bool{}
	find := func() (Folder, error) {
		return Find(Options{Home: dir, Holds: func(f string) bool { return held[f] }})
	}
	if f, err := find(); !errors.Is(err, ErrSeveral) || f.Path != "" || len(f.Candidates) != 2 {
		t.Errorf("none holds backups: %+v %v", f, err)
	}
	held[filepath.Join(dir, contoso)] = true
	if f, err := find(); err != nil || f.Path != filepath.Join(dir, contoso) || !strings.Contains(f.Why, "holds backups") {
		t.Errorf("one holds backups: %+v %v", f, err)
	}
	held[filepath.Join(dir, personal)] = true
	if f, err := find(); !errors.Is(err, ErrSeveral) || f.Path != "" {
		t.Errorf("both hold backups: %+v %v", f, err)
	}
	if list, err := Candidates(dir); err != nil || len(list) != 2 {
		t.Errorf("%v %v", list, err)
	}
}

// What is given wins over what is found, in order, and is not replaced by something else when it is wrong.
func TestFindGiven(t *testing.T) {
	dir := home(t, personal, contoso, "flag", "environment", "config", "broken -> nowhere", "file.file")
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, tc := range []struct {
		o    Options
		want string
		why  string
	}{
		{Options{Flag: at("flag"), Environment: at("environment"), Config: at("config")}, "flag", "--onedrive-path"},
		{Options{Environment: at("environment"), Config: at("config"), Remembered: at(personal)}, "environment", "MAIA_ONEDRIVE_PATH"},
		{Options{Config: at("config")}, "config", "configuration"},
		{Options{Flag: at("flag") + "/../flag/"}, "flag", "--onedrive-path"},
	} {
		tc.o.Home = dir
		f, err := Find(tc.o)
		if err != nil || f.Path != at(tc.want) || !strings.Contains(f.Why, tc.why) || !slices.Equal(f.Candidates, []string{f.Path}) {
			t.Errorf("%+v: %+v %v", tc.o, f, err)
		}
	}
	for _, bad := range []string{"none", "none/deeper", "file", "file/x", "broken"} {
		for _, o := range []Options{{Flag: at(bad)}, {Environment: at(bad)}, {Config: at(bad)}} {
			o.Home = dir
			if f, err := Find(o); !errors.Is(err, ErrNone) || f.Path != "" {
				t.Errorf("%+v: %+v %v", o, f, err)
			}
			if _, err := os.Stat(at("none")); err == nil {
				t.Fatal("the folder was made")
			}
		}
	}
	t.Chdir(dir)
	if f, err := Find(Options{Flag: "flag"}); err != nil || !filepath.IsAbs(f.Path) {
		t.Errorf("a relative path: %+v %v", f, err)
	}
}

// A folder that cannot be listed is an error, not a home without OneDrive.
func TestFindUnlistable(t *testing.T) {
	dir := home(t, "Library", "OneDrive")
	if err := os.WriteFile(filepath.Join(dir, "Library", "CloudStorage"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := Find(Options{Home: dir}); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("%+v %v", f, err)
	}
}
