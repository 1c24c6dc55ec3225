//! The exports of a module.

/// The exports of a module, and its manifest.
#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($machine:ty, $manifest:ident, $bytes:ident) => {
        const _: () = {
            // SAFETY: the exports below are its only callers, and a module imports nothing that could call them.
            static MODULE: $crate::__private::Module<$machine> =
                unsafe { $crate::__private::Module::new(<$machine>::NEW) };

            // Not `#[used]`: the bytes would be in the memory too.
            #[unsafe(link_section = "rulebox.manifest")]
            static SECTION: [u8; $bytes] = $manifest;

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_abi_1() {}

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_init(params: i32) -> i32 {
                MODULE.init(params)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_buffer(kind: i32, index: i32, bytes: i32) -> i32 {
                MODULE.buffer(kind, index, bytes)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_reset() {
                MODULE.reset();
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_eval(rows: i32) -> i32 {
                MODULE.eval(rows)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_state() -> i64 {
                MODULE.state()
            }
        };
    };
}
