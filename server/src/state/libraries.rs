//! Modules that clients uploaded: durable libraries (`FUNCTION LOAD`) and the volatile cache of `EVALWASM`.
//!
//! Keeps compiled modules in step with the definitions in the keyspace; runs nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::Digest;
use crate::options::Options;
use crate::procedure::{GateError, Limits, Module};

/// The limits of modules that the options set.
#[must_use]
pub fn module_limits(options: &Options) -> Limits {
    Limits {
        max_memory_bytes: options.wasm_max_memory,
        max_module_bytes: options.wasm_max_module_size,
        max_functions: options.wasm_max_functions,
        max_locals: options.wasm_max_locals,
        max_nesting: options.wasm_max_nesting,
        max_table_elements: options.wasm_max_table_size,
        max_stack_bytes: options.wasm_max_stack as u32,
    }
}

/// The longest name of a library or function, in bytes.
const MAX_NAME_LEN: usize = 256;
/// The longest first line of a library, in bytes. What follows has the limits of a module.
const MAX_HEADER_LEN: usize = 1024;

/// A durable library of procedures.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// What was uploaded, first line included.
    pub code: Arc<[u8]>,
    /// The compiled module.
    pub module: Arc<Module>,
}

/// Why an upload is not a library. Displays as the text of an error reply without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryError {
    /// The first line is not `#!wasm name=...`.
    Header(String),
    /// The gate refused the module.
    Module(GateError),
    /// It exports no function.
    Empty,
    /// There already is a library with this name.
    Exists(String),
    /// Another library has a function with this name.
    FunctionExists {
        /// Its name.
        function: String,
        /// The library that has it.
        library: String,
    },
}

impl fmt::Display for LibraryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(text) => formatter.write_str(text),
            Self::Module(error) => write!(formatter, "{error}"),
            Self::Empty => formatter.write_str("No functions registered: no export of type () -> ()"),
            Self::Exists(name) => write!(formatter, "Library '{name}' already exists"),
            // The words of Redis, and which library stands in the way.
            Self::FunctionExists { function, library } => {
                write!(formatter, "Function {function} already exists in library '{library}'")
            }
        }
    }
}

impl LibraryError {
    /// The first word of the error reply.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Module(error) => error.code(),
            _ => "ERR",
        }
    }
}

impl Library {
    /// Reads and compiles an upload.
    pub fn compile(code: &[u8], limits: &Limits) -> Result<Self, LibraryError> {
        let (name, module) = Self::parse(code)?;
        Self::new(name, code, Arc::new(Module::compile(module, limits).map_err(LibraryError::Module)?))
    }

    /// Reads an upload: `#!wasm name=LIB`, a line break, and the module. Gives the name and the module.
    pub fn parse(code: &[u8]) -> Result<(&str, &[u8]), LibraryError> {
        let header = |text: &str| LibraryError::Header(text.to_owned());
        let start = &code[..code.len().min(MAX_HEADER_LEN)];
        let end = memchr::memchr(b'\n', start).ok_or_else(|| header("Missing library metadata"))?;
        let line = std::str::from_utf8(&code[..end]).map_err(|_| header("Invalid library metadata"))?;
        let shebang = line.strip_prefix("#!").ok_or_else(|| header("Missing library metadata"))?;
        let mut words = shebang.split_whitespace();
        let engine = words.next().unwrap_or_default();
        if !engine.eq_ignore_ascii_case("wasm") {
            return Err(LibraryError::Header(format!("Engine '{engine}' not found")));
        }
        let mut name = None;
        for word in words {
            match word.split_once('=') {
                Some(("name", _)) if name.is_some() => {
                    return Err(header("Invalid metadata value, name argument was given multiple times"));
                }
                Some(("name", value)) => name = Some(value),
                _ => return Err(LibraryError::Header(format!("Invalid metadata value given: {word}"))),
            }
        }
        let name = name.ok_or_else(|| header("Library name was not given"))?;
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > MAX_NAME_LEN || !name.bytes().all(valid) {
            return Err(header(
                "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
            ));
        }
        Ok((name, &code[end + 1..]))
    }

    /// The library of that name, of an upload and its compiled module.
    pub fn new(name: &str, code: &[u8], module: Arc<Module>) -> Result<Self, LibraryError> {
        if module.procedures().is_empty() {
            return Err(LibraryError::Empty);
        }
        Ok(Self { name: name.to_owned(), code: code.into(), module })
    }
}

/// The durable libraries, and which of them has which function. Clones in O(1), so that undo can put the old ones back.
#[derive(Clone, Debug, Default)]
pub struct Libraries(Rc<Index>);

#[derive(Clone, Debug, Default)]
struct Index {
    libraries: BTreeMap<String, Library>,
    functions: HashMap<String, (String, usize)>,
}

impl Libraries {
    /// Checks whether a library can be added; with `replace`, in place of the one with its name.
    pub fn check(&self, library: &Library, replace: bool) -> Result<(), LibraryError> {
        if !replace && self.0.libraries.contains_key(&library.name) {
            return Err(LibraryError::Exists(library.name.clone()));
        }
        for procedure in library.module.procedures() {
            let holder = self.0.functions.get(&procedure.name).map(|(holder, _)| holder);
            if let Some(holder) = holder.filter(|holder| **holder != library.name) {
                return Err(LibraryError::FunctionExists {
                    function: procedure.name.clone(),
                    library: holder.clone(),
                });
            }
        }
        Ok(())
    }

    /// Adds a library, or replaces the one with its name.
    pub fn insert(&mut self, library: Library) {
        self.remove(&library.name);
        let index = Rc::make_mut(&mut self.0);
        for (place, procedure) in library.module.procedures().iter().enumerate() {
            index.functions.insert(procedure.name.clone(), (library.name.clone(), place));
        }
        index.libraries.insert(library.name.clone(), library);
    }

    /// Removes a library.
    pub fn remove(&mut self, name: &str) -> Option<Library> {
        let index = Rc::make_mut(&mut self.0);
        let library = index.libraries.remove(name)?;
        for procedure in library.module.procedures() {
            index.functions.remove(&procedure.name);
        }
        Some(library)
    }

    /// The library of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Library> {
        self.0.libraries.get(name)
    }

    /// The library that has a function, and the function's index in it.
    #[must_use]
    pub fn function(&self, name: &[u8]) -> Option<(&Library, usize)> {
        let (holder, place) = self.0.functions.get(std::str::from_utf8(name).ok()?)?;
        Some((self.0.libraries.get(holder)?, *place))
    }

    /// All libraries in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Library> {
        self.0.libraries.values()
    }

    /// How many functions all libraries have.
    #[must_use]
    pub fn function_count(&self) -> usize {
        self.0.functions.len()
    }
}

/// A module of the cache.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The compiled module.
    pub module: Arc<Module>,
    /// Bytes of the upload.
    pub upload_bytes: usize,
    used: u64,
}

/// The modules uploaded by `EVALWASM` and `WASM LOAD`: volatile and bounded; the least recently used is dropped first.
#[derive(Debug, Default)]
pub struct ModuleCache {
    modules: HashMap<Digest, Cached>,
    clock: u64,
    bytes: usize,
}

impl ModuleCache {
    /// The module with this digest; counts as a use of it.
    pub fn get(&mut self, digest: &Digest) -> Option<Arc<Module>> {
        self.clock += 1;
        let cached = self.modules.get_mut(digest)?;
        cached.used = self.clock;
        Some(Arc::clone(&cached.module))
    }

    /// Whether a module is in the cache.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.modules.contains_key(digest)
    }

    /// Adds a module, and drops others while there are more than `max_len` or more than `max_bytes`.
    pub fn insert(
        &mut self,
        digest: Digest,
        module: Arc<Module>,
        upload_bytes: usize,
        max_len: usize,
        max_bytes: usize,
    ) {
        self.clock += 1;
        self.bytes += upload_bytes + module.size_bytes();
        self.modules.insert(digest, Cached { module, upload_bytes, used: self.clock });
        while self.modules.len() > max_len.max(1) || (self.bytes > max_bytes && self.modules.len() > 1) {
            let oldest = self.modules.iter().min_by_key(|(_, cached)| cached.used).map(|(digest, _)| *digest);
            if let Some(removed) = oldest.and_then(|digest| self.modules.remove(&digest)) {
                self.bytes -= removed.upload_bytes + removed.module.size_bytes();
            }
        }
    }

    /// Drops all modules.
    pub fn clear(&mut self) {
        *self = Self { clock: self.clock, ..Self::default() };
    }

    /// All modules, the most recently used first.
    #[must_use]
    pub fn list(&self) -> Vec<(Digest, &Cached)> {
        let mut list: Vec<_> = self.modules.iter().map(|(digest, cached)| (*digest, cached)).collect();
        list.sort_by_key(|(_, cached)| std::cmp::Reverse(cached.used));
        list
    }

    /// Bytes that the modules take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_alone_has_the_limits_that_the_options_have_by_default() {
        assert_eq!(Limits::default(), module_limits(&Options::default()));
    }
}
