package onedrive

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const evaluated = `Evaluating /Users/me/Library/CloudStorage/OneDrive-Personal/MaiaBackups/chunks/ab.gz
{
    capabilities = 63;
    contentType = "org.gnu.gnu-zip-archive";
    documentSize = 1234;
    filename = "ab.gz";
    isDownloaded = 1;
    isUploaded = 1;
    isUploading = 0;
    uploadingError = (null);
}
Actions:
    com.microsoft.OneDrive.share
`

func TestParseEvaluate(t *testing.T) {
	sub := func(old, new string) string {
		if !strings.Contains(evaluated, old) {
			t.Fatalf("%q is not in the sample", old)
		}
		return strings.Replace(evaluated, old, new, 1)
	}
	for name, tc := range map[string]struct {
		out  string
		want Rung
	}{
		"as it was seen":            {evaluated, ClientUploaded},
		"not yet":                   {sub("isUploaded = 1", "isUploaded = 0"), Pending},
		"on its way":                {strings.Replace(sub("isUploaded = 1", "isUploaded = 0"), "isUploading = 0", "isUploading = 1", 1), Uploading},
		"both":                      {sub("isUploading = 0", "isUploading = 1"), Unknown},
		"an error":                  {sub("(null)", `"Error Domain=NSFileProviderErrorDomain Code=-1003"`), Pending},
		"another size":              {sub("1234", "1235"), Unknown},
		"a size that is none":       {sub("1234", "0x4d2"), Unknown},
		"no size":                   {sub("    documentSize = 1234;\n", ""), Unknown},
		"no state":                  {sub("    isUploaded = 1;\n", ""), Unknown},
		"no second state":           {sub("    isUploading = 0;\n", ""), Unknown},
		"another value":             {sub("isUploaded = 1", "isUploaded = YES"), Unknown},
		"a value with more":         {sub("isUploaded = 1;", "isUploaded = 1; // cached"), Unknown},
		"twice":                     {sub("isUploaded = 1;", "isUploaded = 1;\n    isUploaded = 1;"), Unknown},
		"twice, and they differ":    {sub("isUploaded = 1;", "isUploaded = 0;\n    isUploaded = 1;"), Unknown},
		"only after the actions":    {strings.Replace(sub("    isUploaded = 1;\n", ""), "Actions:\n", "Actions:\n    isUploaded = 1;\n", 1), Unknown},
		"no actions":                {sub("Actions:\n", ""), Unknown},
		"actions twice":             {sub("Actions:\n", "Actions:\nActions:\n"), Unknown},
		"a name that looks like it": {sub(`"ab.gz"`, `"isUploaded = 1;"`), Unknown},
		"a name with a line feed":   {strings.Replace(sub("    isUploaded = 1;\n", ""), `"ab.gz"`, "\"ab\n    isUploaded = 1;\n\"", 1), ClientUploaded},
		"not text":                  {evaluated + "\xff", Unknown},
		"a zero":                    {evaluated + "\x00", Unknown},
		"huge":                      {evaluated + strings.Repeat("x\n", maxEvaluate), Unknown},
		"nothing":                   {"", Unknown},
	} {
		if got := parseEvaluate([]byte(tc.out), 1234); got.Rung != tc.want || tc.want == Unknown && got.Detail == "" {
			t.Errorf("%s: %+v, want %s", name, got, tc.want)
		}
	}
}

// FuzzParseEvaluate: only a text that says each thing exactly once, in a line of its own, is an upload.
func FuzzParseEvaluate(f *testing.F) {
	f.Add([]byte(evaluated), int64(1234))
	f.Add([]byte(strings.Replace(evaluated, "isUploaded = 1", "isUploaded = 0", 1)), int64(1234))
	f.Add([]byte("documentSize = 1;\nisUploaded = 1;\nisUploading = 0;\nActions:\n"), int64(1))
	f.Add([]byte("Actions:\nisUploaded = 1;"), int64(0))
	f.Fuzz(func(t *testing.T, out []byte, size int64) {
		a := parseEvaluate(out, size)
		if a.Rung > ClientUploaded {
			t.Fatalf("%s", a.Rung)
		}
		if a.Rung != ClientUploaded {
			return
		}
		text := string(out)
		before, _, _ := strings.Cut(text, "Actions:")
		for _, line := range []string{"isUploaded = 1", "isUploading = 0", fmt.Sprintf("documentSize = %d", size)} {
			name, _, _ := strings.Cut(line, " ")
			if strings.Count(text, name) != 1 {
				t.Errorf("%s stands %d times", name, strings.Count(text, name))
			}
			if strings.HasPrefix(line, "isUp") && !regexp.MustCompile(`(?m)^[ \t]*`+line+`;$`).MatchString(before) {
				t.Errorf("no line %q", line)
			}
		}
	})
}
