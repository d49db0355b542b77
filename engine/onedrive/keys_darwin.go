package onedrive

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"unicode/utf8"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/ebitengine/purego/objc"
)

// keyReader reads NSURL's resource values. It runs in a helper process only: an Objective-C exception ends the process.
type keyReader struct {
	url, str, pool                                         objc.Class
	ubiquitous, uploaded, uploading, excluded, uploadError objc.ID
}

const foundation = "/System/Library/Frameworks/Foundation.framework/Foundation"

func newKeyReader() (*keyReader, error) {
	lib, err := purego.Dlopen(foundation, purego.RTLD_GLOBAL|purego.RTLD_LAZY)
	if err != nil {
		return nil, fmt.Errorf("load Foundation: %w", err)
	}
	runtime.LockOSThread() // autorelease pools belong to a thread
	r := &keyReader{url: objc.GetClass("NSURL"), str: objc.GetClass("NSString"), pool: objc.GetClass("NSAutoreleasePool")}
	if r.url == 0 || r.str == 0 || r.pool == 0 {
		return nil, errors.New("load Foundation: a class is missing")
	}
	for name, key := range map[string]*objc.ID{
		"NSURLIsUbiquitousItemKey": &r.ubiquitous, "NSURLUbiquitousItemIsUploadedKey": &r.uploaded,
		"NSURLUbiquitousItemIsUploadingKey": &r.uploading, "NSURLUbiquitousItemIsExcludedFromSyncKey": &r.excluded,
		"NSURLUbiquitousItemUploadingErrorKey": &r.uploadError,
	} {
		// One that this macOS does not have stays absent: unknown.
		if symbol, err := purego.Dlsym(lib, name); err == nil && symbol != 0 {
			*key = **(**objc.ID)(unsafe.Pointer(&symbol))
		}
	}
	return r, nil
}

var (
	selNew             = objc.RegisterName("new")
	selDrain           = objc.RegisterName("drain")
	selStringWithUTF8  = objc.RegisterName("stringWithUTF8String:")
	selFileURLWithPath = objc.RegisterName("fileURLWithPath:")
	selGetValue        = objc.RegisterName("getResourceValue:forKey:error:")
	selBoolValue       = objc.RegisterName("boolValue")
	selDomain          = objc.RegisterName("domain")
	selCode            = objc.RegisterName("code")
	selUTF8            = objc.RegisterName("UTF8String")
)

// read asks about one path, with an NSURL of its own: without a run loop, one that was asked before keeps its values.
func (r *keyReader) read(path string) Keys {
	if !filepath.IsAbs(path) || !utf8.ValidString(path) {
		return Keys{Problem: "its name cannot be asked about"}
	}
	pool := objc.ID(r.pool).Send(selNew)
	defer pool.Send(selDrain)
	str := objc.ID(r.str).Send(selStringWithUTF8, path)
	if str == 0 {
		return Keys{Problem: "its name cannot be asked about"}
	}
	url := objc.ID(r.url).Send(selFileURLWithPath, str)
	if url == 0 {
		return Keys{Problem: "its name cannot be asked about"}
	}
	k := Keys{
		Ubiquitous: r.boolean(url, r.ubiquitous), Uploaded: r.boolean(url, r.uploaded), Uploading: r.boolean(url, r.uploading),
		Excluded: r.boolean(url, r.excluded),
	}
	if e, ok := r.value(url, r.uploadError); ok && e != 0 {
		k.ErrorDomain, k.ErrorCode = "unknown", objc.Send[int](e, selCode)
		if d := e.Send(selDomain); d != 0 {
			k.ErrorDomain = objc.Send[string](d, selUTF8)
		}
	}
	return k
}

// value returns a resource value; false: this macOS or this file has none.
func (r *keyReader) value(url, key objc.ID) (objc.ID, bool) {
	if key == 0 {
		return 0, false
	}
	var value, err objc.ID
	ok := objc.Send[bool](url, selGetValue, unsafe.Pointer(&value), key, unsafe.Pointer(&err))
	return value, ok
}

func (r *keyReader) boolean(url, key objc.ID) Tri {
	v, ok := r.value(url, key)
	switch {
	case !ok || v == 0:
		return TriUnknown
	case objc.Send[bool](v, selBoolValue):
		return Yes
	}
	return No
}

// Values of sys/resource.h.
const (
	iopolMaterialize    = 3 // IOPOL_TYPE_VFS_MATERIALIZE_DATALESS_FILES
	iopolScopeProcess   = 0
	iopolMaterializeOff = 1
	iopolMaterializeOn  = 2
)

// setMaterialize says for this process whether reading a file that lies in the cloud only downloads it, or fails.
func setMaterialize(on bool) error {
	symbol, err := purego.Dlsym(purego.RTLD_DEFAULT, "setiopolicy_np")
	if err != nil {
		return fmt.Errorf("find setiopolicy_np: %w", err)
	}
	var set func(kind, scope, policy int32) int32
	purego.RegisterFunc(&set, symbol)
	policy := int32(iopolMaterializeOff)
	if on {
		policy = iopolMaterializeOn
	}
	if set(iopolMaterialize, iopolScopeProcess, policy) != 0 {
		return errors.New("setiopolicy_np failed")
	}
	return nil
}
