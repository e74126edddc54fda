//! The server's functions, version 1, each in a safe wrapper. All `unsafe` of calling the server is here.
//!
//! Every wrapper passes pointer and length of a slice, so that the server reads and writes only what is borrowed for
//! the time of the call.

use crate::{Error, LogLevel};

#[link(wasm_import_module = "kvasm_1")]
unsafe extern "C" {
    #[link_name = "key_count"]
    safe fn host_key_count() -> u32;
    #[link_name = "arg_count"]
    safe fn host_arg_count() -> u32;
    #[link_name = "key"]
    fn host_key(index: u32, buffer: *mut u8, capacity: usize) -> i32;
    #[link_name = "arg"]
    fn host_arg(index: u32, buffer: *mut u8, capacity: usize) -> i32;
    #[link_name = "get"]
    fn host_get(key: *const u8, key_len: usize, buffer: *mut u8, capacity: usize) -> i64;
    #[link_name = "get_range"]
    fn host_get_range(key: *const u8, key_len: usize, offset: i64, buffer: *mut u8, capacity: usize) -> i64;
    #[link_name = "exists"]
    fn host_exists(key: *const u8, key_len: usize) -> i32;
    #[link_name = "command_ro"]
    fn host_command_ro(request: *const u8, request_len: usize, buffer: *mut u8, capacity: usize) -> i64;
    #[link_name = "command_reply"]
    fn host_command_reply(offset: i64, buffer: *mut u8, capacity: usize) -> i64;
    #[link_name = "put"]
    fn host_put(key: *const u8, key_len: usize, value: *const u8, value_len: usize);
    #[link_name = "delete"]
    fn host_delete(key: *const u8, key_len: usize) -> i32;
    #[link_name = "increment"]
    fn host_increment(key: *const u8, key_len: usize, delta: i64) -> i64;
    #[link_name = "command"]
    fn host_command(request: *const u8, request_len: usize, buffer: *mut u8, capacity: usize) -> i64;
    #[link_name = "reply_integer"]
    safe fn host_reply_integer(number: i64);
    #[link_name = "reply_bulk"]
    fn host_reply_bulk(bytes: *const u8, len: usize);
    #[link_name = "reply_resp"]
    fn host_reply_resp(bytes: *const u8, len: usize);
    #[link_name = "abort"]
    fn host_abort(text: *const u8, len: usize) -> !;
    #[link_name = "log"]
    fn host_log(level: i32, text: *const u8, len: usize);
    #[link_name = "time_us"]
    safe fn host_time_us() -> i64;
    #[link_name = "random"]
    safe fn host_random() -> i64;
}

/// The server, from within a call. Only a call makes one.
#[derive(Debug)]
pub struct Host(());

impl Host {
    pub(super) fn new() -> Self {
        Self(())
    }

    #[inline]
    pub fn get(&self, key: &[u8], buffer: &mut [u8]) -> Option<u64> {
        // SAFETY: both slices are valid for the call.
        let length = unsafe { host_get(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len()) };
        u64::try_from(length).ok()
    }

    #[inline]
    pub fn get_range(&self, key: &[u8], offset: u64, buffer: &mut [u8]) -> Option<u64> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        // SAFETY: both slices are valid for the call.
        let length =
            unsafe { host_get_range(key.as_ptr(), key.len(), offset, buffer.as_mut_ptr(), buffer.len()) };
        u64::try_from(length).ok()
    }

    #[inline]
    #[must_use]
    pub fn exists(&self, key: &[u8]) -> bool {
        // SAFETY: the slice is valid for the call.
        unsafe { host_exists(key.as_ptr(), key.len()) != 0 }
    }

    #[inline]
    pub fn command_ro(&self, request: &[u8], buffer: &mut [u8]) -> usize {
        // SAFETY: both slices are valid for the call.
        unsafe {
            host_command_ro(request.as_ptr(), request.len(), buffer.as_mut_ptr(), buffer.len()) as usize
        }
    }

    #[inline]
    pub fn command_reply(&self, offset: usize, buffer: &mut [u8]) {
        // SAFETY: the slice is valid for the call.
        unsafe { host_command_reply(offset as i64, buffer.as_mut_ptr(), buffer.len()) };
    }

    // From here to `command`: what changes data. Nothing on `&Db` may reach these.

    #[inline]
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        // SAFETY: both slices are valid for the call.
        unsafe { host_put(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
    }

    #[inline]
    pub fn delete(&mut self, key: &[u8]) -> bool {
        // SAFETY: the slice is valid for the call.
        unsafe { host_delete(key.as_ptr(), key.len()) != 0 }
    }

    #[inline]
    pub fn increment(&mut self, key: &[u8], delta: i64) -> i64 {
        // SAFETY: the slice is valid for the call.
        unsafe { host_increment(key.as_ptr(), key.len(), delta) }
    }

    #[inline]
    pub fn command(&mut self, request: &[u8], buffer: &mut [u8]) -> usize {
        // SAFETY: both slices are valid for the call.
        unsafe { host_command(request.as_ptr(), request.len(), buffer.as_mut_ptr(), buffer.len()) as usize }
    }

    pub fn abort(&self, error: &Error) -> ! {
        abort(error.text().as_bytes())
    }

    #[inline]
    pub fn log(&self, level: LogLevel, message: &str) {
        // SAFETY: the slice is valid for the call.
        unsafe { host_log(level as i32, message.as_ptr(), message.len()) }
    }

    #[inline]
    #[must_use]
    pub fn time_us(&self) -> u64 {
        host_time_us() as u64
    }

    #[inline]
    #[must_use]
    pub fn random(&self) -> u64 {
        host_random() as u64
    }
}

#[inline]
pub fn key_count() -> usize {
    host_key_count() as usize
}

#[inline]
pub fn arg_count() -> usize {
    host_arg_count() as usize
}

#[inline]
pub fn key(index: usize, buffer: &mut [u8]) -> Option<u64> {
    // SAFETY: the slice is valid for the call.
    length(unsafe { host_key(index as u32, buffer.as_mut_ptr(), buffer.len()) })
}

#[inline]
pub fn arg(index: usize, buffer: &mut [u8]) -> Option<u64> {
    // SAFETY: the slice is valid for the call.
    length(unsafe { host_arg(index as u32, buffer.as_mut_ptr(), buffer.len()) })
}

#[inline]
pub fn reply_integer(number: i64) {
    host_reply_integer(number);
}

#[inline]
pub fn reply_bulk(bytes: &[u8]) {
    // SAFETY: the slice is valid for the call.
    unsafe { host_reply_bulk(bytes.as_ptr(), bytes.len()) }
}

#[inline]
pub fn reply_resp(bytes: &[u8]) {
    // SAFETY: the slice is valid for the call.
    unsafe { host_reply_resp(bytes.as_ptr(), bytes.len()) }
}

#[inline]
pub fn abort(text: &[u8]) -> ! {
    // SAFETY: the slice is valid for the call.
    unsafe { host_abort(text.as_ptr(), text.len()) }
}

/// A length, or -1 for absent. Only -1 is negative: a length of 2 GiB and more is unsigned in these 32 bits.
#[inline]
fn length(returned: i32) -> Option<u64> {
    if returned == -1 { None } else { Some(u64::from(returned.cast_unsigned())) }
}
