import { smoke } from './smoke.mjs'

smoke().then(
  text => console.log(text),
  error => {
    console.log(error)
    process.exitCode = 1
  },
)
